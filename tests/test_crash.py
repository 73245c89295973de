"""A process may die at any moment: what it was told is recorded is in the store, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import peaky_peek as pp
from peaky_peek.store import Database
from peaky_peek.store.journal import segments

RECORDS = """
import os, sys, time
import peaky_peek as pp
from peaky_peek.store import journal
journal.SEGMENT_BYTES = int(sys.argv[2])
with pp.trace_session("doomed") as ctx:
    for number in range(1_000_000):
        ctx.record_tool_result("count", result=number, data={"filler": "x" * (number % 700)})
        os.write(1, b"%d\\n" % number)
        if sys.argv[1] == "paced":
            time.sleep(0.002)
"""


def run_and_kill(database: Database, pace: str, segment_bytes: int, seconds: float) -> int:
    """Let a process record, kill it after a while, and return the last number whose `record_*` returned."""
    child = subprocess.Popen(
        [sys.executable, "-c", RECORDS, pace, str(segment_bytes)],
        stdout=subprocess.PIPE, env=os.environ | {"PEAKY_PEEK_DB": str(database.path)},
    )  # fmt: skip
    assert child.stdout is not None
    first = child.stdout.readline()
    deadline = time.monotonic() + seconds
    os.set_blocking(child.stdout.fileno(), False)
    said = first
    while time.monotonic() < deadline:  # keep the pipe from filling up
        said += child.stdout.read() or b""
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    said += child.stdout.read() or b""
    child.stdout.close()
    return int(said[: said.rindex(b"\n")].rsplit(b"\n", 1)[-1])


@pytest.mark.parametrize(
    ("pace", "segment_bytes"), [("flat out", 64 << 20), ("flat out", 100_000), ("paced", 64 << 20)]
)
def test_sigkill_at_any_moment_loses_and_doubles_nothing(store: Database, pace: str, segment_bytes: int) -> None:
    moments = random.Random(f"{pace} {segment_bytes}")
    for _ in range(4):
        acknowledged = run_and_kill(store, pace, segment_bytes, moments.uniform(0, 0.25))
        store.ingest()
        rows = store.connection().execute(
            "SELECT payload ->> 'result' FROM events JOIN sessions USING (session_id) WHERE event_type = 'tool_result'"
            " AND session_id = (SELECT session_id FROM sessions ORDER BY position DESC LIMIT 1)"
            " ORDER BY events.position"
        )
        numbers = [row[0] for row in rows]
        assert numbers == list(range(len(numbers)))
        assert acknowledged + 1 <= len(numbers) <= acknowledged + 2  # the one it died in may be there too
        assert store.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert pp.sessions().status.tolist() == ["interrupted"] * 4
    assert segments(store.journal_folders[0]) == []


def test_a_session_left_open_by_a_dead_process_is_interrupted_and_of_unknown_length(store: Database) -> None:
    run_and_kill(store, "paced", 64 << 20, 0.02)
    with pp.trace_session("alive"):
        session = pp.sessions().set_index("name")
        assert session.status.to_dict() == {"doomed": "interrupted", "alive": "running"}
        assert session.ended_at.isna().all()


def test_a_process_that_exits_normally_leaves_one_tidy_file(tmp_path: Path) -> None:
    code = "import peaky_peek as pp\nwith pp.trace_session('done') as ctx: ctx.record_decision('because')\n"
    path = tmp_path / "tidy.db"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PEAKY_PEEK_DB": str(path)})
    database = Database(path)
    assert segments(database.journal_folders[0]) == []
    assert database.connection().execute("SELECT name, status, events FROM sessions").fetchall() == [
        ("done", "completed", 3)
    ]
    database.close()


def test_a_forked_child_records_on_its_own(store: Database) -> None:
    with pp.trace_session("parent") as ctx:
        ctx.record_decision("before the fork")
        child = os.fork()
        if child == 0:
            try:
                ctx.record_decision("in the child")
                with pp.trace_session("child", new_session=True) as own:
                    own.record_decision("its own")
                pp.capture.recorder.close()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        ctx.record_decision("after the fork")
    frame = pp.events("parent", types="decision", data=True)
    assert sorted(data["reasoning"] for data in frame.data) == ["after the fork", "before the fork", "in the child"]
    assert frame.event_id.is_unique
    assert pp.sessions().set_index("name").status.to_dict() == {"parent": "completed", "child": "completed"}


def test_a_forked_child_does_not_end_what_its_parent_began(store: Database) -> None:
    child = -1
    try:
        with pp.trace_session("parent"), pp.trace_session("span"):
            child = os.fork()
            if child == 0:
                with pp.trace_session("in the child"):
                    pass
    finally:
        if child == 0:
            pp.uninstall()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    frame = pp.events("parent")
    ended = frame.name[frame.event_type == "agent_end"]
    assert sorted(ended) == ["in the child", "parent", "span"]


def test_a_session_that_nobody_ended_is_found_the_next_time(store: Database) -> None:
    run_and_kill(store, "paced", 64 << 20, 0.02)
    store.ingest()
    # two processes that each buried a segment of the dead one left the end to each other
    store.connection().execute("UPDATE sessions SET status = 'running'")
    run_and_kill(store, "paced", 64 << 20, 0.02)
    assert pp.sessions().status.tolist() == ["interrupted", "interrupted"]
