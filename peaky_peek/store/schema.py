"""The SQLite file: its tables, and how a file of an older version becomes one of today's.

Times are microseconds since the epoch, UTC. `payload`, `input` and `output` are tagged JSON (`peaky_peek.encoding`).
The views are for people in the `sqlite3` shell.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from peaky_peek.errors import PeekError, StoreUnreadable

APPLICATION_ID = 0x5045454B  # "PEEK"

_VERSION_1 = """
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, position INTEGER NOT NULL, name TEXT, framework TEXT, status TEXT NOT NULL,
    started_at INTEGER, ended_at INTEGER,
    events INTEGER NOT NULL DEFAULT 0, llm_calls INTEGER NOT NULL DEFAULT 0, tool_calls INTEGER NOT NULL DEFAULT 0,
    errors INTEGER NOT NULL DEFAULT 0, suspects INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL, unpriced INTEGER NOT NULL DEFAULT 0,
    agents TEXT NOT NULL DEFAULT '[]', task TEXT, version TEXT, tags TEXT NOT NULL DEFAULT '[]',
    input TEXT, output TEXT, outcome TEXT, score REAL, note TEXT,
    parent_session_id TEXT, root_session_id TEXT, thread TEXT, notebook TEXT, cell TEXT, code_hash TEXT,
    git_commit TEXT, forked_from TEXT, replay_value REAL, owner TEXT
);
CREATE INDEX sessions_in_order ON sessions (position);
CREATE INDEX sessions_by_name ON sessions (name, position);
CREATE INDEX sessions_by_root ON sessions (root_session_id);
CREATE TABLE events (
    rowid INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, session_id TEXT NOT NULL, position INTEGER NOT NULL,
    parent_id TEXT, event_type TEXT NOT NULL, name TEXT, agent TEXT, timestamp INTEGER, duration_ms REAL, status TEXT,
    importance REAL, failed INTEGER NOT NULL, suspect TEXT, model TEXT, tool_name TEXT,
    input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL, error_type TEXT, payload TEXT NOT NULL
);
CREATE INDEX events_in_order ON events (session_id, position);
CREATE TABLE exchanges (
    exchange_id TEXT PRIMARY KEY, event_id TEXT, session_id TEXT NOT NULL, position INTEGER NOT NULL, attempt INTEGER,
    method TEXT, url TEXT, request_headers TEXT, base_id TEXT, prefix INTEGER, suffix INTEGER, request BLOB,
    status INTEGER, response_headers TEXT, response BLOB, chunk_sizes TEXT, chunk_times_us TEXT,
    started_at INTEGER, duration_ms REAL, first_byte_ms REAL, complete INTEGER, error TEXT, pending INTEGER
);
CREATE INDEX exchanges_by_event ON exchanges (event_id);
CREATE INDEX exchanges_in_order ON exchanges (session_id, position);
CREATE INDEX exchanges_pending ON exchanges (session_id) WHERE pending IS NOT NULL;
CREATE TABLE journals (name TEXT PRIMARY KEY, offset INTEGER NOT NULL);
CREATE TABLE unreadable (journal TEXT, offset INTEGER, reason TEXT, body BLOB, PRIMARY KEY (journal, offset));
CREATE TABLE columns (session_id TEXT PRIMARY KEY, stamp TEXT NOT NULL, data BLOB NOT NULL);
CREATE VIEW runs AS SELECT session_id, name, status, outcome, datetime(started_at / 1e6, 'unixepoch') AS started,
    (ended_at - started_at) / 1e6 AS seconds, events, errors, cost_usd FROM sessions ORDER BY position;
CREATE VIEW failures AS SELECT e.event_id, s.name AS session, e.event_type, e.name, e.error_type,
    coalesce(e.payload ->> 'error_message', e.payload ->> 'error', e.payload ->> 'reason') AS message
    FROM events e JOIN sessions s USING (session_id) WHERE e.failed ORDER BY e.position;
CREATE VIEW tool_calls AS SELECT c.event_id, s.name AS session, c.tool_name, c.payload -> 'arguments' AS arguments,
    r.payload -> 'result' AS result, r.payload ->> 'error' AS error, r.duration_ms FROM events c
    JOIN sessions s USING (session_id) LEFT JOIN events r ON r.session_id = c.session_id AND r.parent_id = c.event_id
    AND r.event_type = 'tool_result' WHERE c.event_type = 'tool_call' ORDER BY c.position;
"""

_VERSION_2 = """ALTER TABLE exchanges ADD COLUMN played_from TEXT"""

# What was said about clusters of failures: hashes and the names that users gave, nothing of what was recorded.
# Which failure a cluster has its name from is a table apart: what has a session goes with it when it is deleted.
_VERSION_3 = """CREATE INDEX events_failed ON events (session_id, position) WHERE failed;
CREATE TABLE cluster_of (fingerprint TEXT PRIMARY KEY, cluster_id TEXT NOT NULL);
CREATE TABLE clusters (cluster_id TEXT PRIMARY KEY, name TEXT, merged_into TEXT, split_by TEXT);
CREATE TABLE cluster_founders (cluster_id TEXT PRIMARY KEY, session_id TEXT, event_id TEXT)"""

_MIGRATIONS = (_VERSION_1, _VERSION_2, _VERSION_3)
"""One script a version; the first makes version 1 of an empty file. A released script is never edited."""

VERSION = len(_MIGRATIONS)
EVENT_COLUMNS = (
    "event_id", "session_id", "position", "parent_id", "event_type", "name", "agent", "timestamp", "duration_ms",
    "status", "importance", "failed", "suspect", "model", "tool_name", "input_tokens", "output_tokens", "cost_usd",
    "error_type", "payload",
)  # fmt: skip
SESSION_FIELDS = (
    "name", "framework", "status", "started_at", "ended_at", "task", "version", "tags", "input", "output", "outcome",
    "score", "note", "parent_session_id", "root_session_id", "thread", "notebook", "cell", "code_hash", "git_commit",
    "forked_from", "replay_value", "owner",
)  # fmt: skip
"""What a session record may set; the other columns are counted from its events."""


def migrate(connection: sqlite3.Connection, path: object) -> None:
    """Bring the file up to today's version, in one transaction a version.

    Raises:
        StoreUnreadable: if the file belongs to another program or to a newer Peaky Peek; it is left untouched.
    """
    version = check(connection, path)
    while version < VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = check(connection, path)  # another process may have been faster
            if version < VERSION:
                for statement in _MIGRATIONS[version].split(";\n"):
                    connection.execute(statement)
                version += 1
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(PeekError, sqlite3.Error):  # a full disk has undone it already
                connection.execute("ROLLBACK")
            raise


def check(connection: sqlite3.Connection, path: object) -> int:
    """Return the file's version, 0 for an empty one.

    Raises:
        StoreUnreadable: as for `migrate`.
    """
    # In this order: another thread or process may make the tables, and all else with them, between two of these lines.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and application != APPLICATION_ID:
        raise StoreUnreadable(f"{path} is an SQLite file of another program: give pp.init(db=...) a path of its own.")
    if version > VERSION:
        raise StoreUnreadable(
            f"{path} was written by a newer Peaky Peek (schema {version}, this one reads {VERSION}):"
            " upgrade peaky-peek-jupyter."
        )
    return int(version)
