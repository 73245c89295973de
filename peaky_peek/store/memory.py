"""What was decided about clusters of failures: which fingerprint is in which, what users named, merged and split.

Hashes and names that users gave are kept, and ids of events as long as their session is: a deleted one leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from peaky_peek.errors import PeekError

if TYPE_CHECKING:
    from peaky_peek.store.database import Database


@dataclass
class Memory:
    """The decisions about clusters, by cluster id."""

    cluster_of: dict[str, str] = field(default_factory=dict)
    """The cluster that each fingerprint was first found in."""
    names: dict[str, str] = field(default_factory=dict)
    merged_into: dict[str, str] = field(default_factory=dict)
    split_by: dict[str, str] = field(default_factory=dict)
    founders: dict[str, str] = field(default_factory=dict)
    """The event that each cluster has its name from."""


def recall(db: Database) -> Memory:
    """Return what is remembered."""
    connection = db.connection()
    memory = Memory(dict(connection.execute("SELECT fingerprint, cluster_id FROM cluster_of").fetchall()))
    memory.founders = dict(connection.execute("SELECT cluster_id, event_id FROM cluster_founders").fetchall())
    for cluster_id, *decided in connection.execute("SELECT cluster_id, name, merged_into, split_by FROM clusters"):
        for kept, value in zip((memory.names, memory.merged_into, memory.split_by), decided, strict=True):
            if value is not None:
                kept[cluster_id] = value
    return memory


def remember(db: Database, cluster_of: Mapping[str, str], founders: Iterable[tuple[str, str, str]]) -> None:
    """Keep what is new, unless that would mean to wait for another writer, or the store cannot be written.

    Args:
        db: the store.
        cluster_of: the cluster of each fingerprint.
        founders: cluster, session and event.
    """
    founders = list(founders)
    if (cluster_of or founders) and not db.read_only:
        with suppress(PeekError), db.write(deadline=0) as connection:
            connection.executemany("INSERT OR IGNORE INTO cluster_of VALUES (?, ?)", cluster_of.items())
            connection.executemany("INSERT OR IGNORE INTO cluster_founders VALUES (?, ?, ?)", founders)


def rename(db: Database, cluster_id: str, name: str | None) -> None:
    """Keep the name that a user gave; None for the one that it has by itself."""
    _decide(db, "name", [(cluster_id, name)])


def merge(db: Database, cluster_ids: Iterable[str], into: str) -> None:
    """Keep that clusters are part of another one from now on."""
    _decide(db, "merged_into", [(cluster_id, into) for cluster_id in cluster_ids])


def split(db: Database, cluster_id: str, by: str) -> None:
    """Keep that a cluster is one cluster for each value of a column."""
    _decide(db, "split_by", [(cluster_id, by)])


def _decide(db: Database, what: str, decided: list[tuple[str, str | None]]) -> None:
    sql = f"""INSERT INTO clusters (cluster_id, {what}) VALUES (?, ?)
        ON CONFLICT (cluster_id) DO UPDATE SET {what} = excluded.{what}"""  # noqa: S608 - a column of ours
    with db.write() as connection:
        connection.executemany(sql, decided)
