"""A process is killed at any moment: what it was told is recorded is in the store, once and in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peaky_peek.store import Database
from peaky_peek.store.journal import segments
from tests.soak import Scenario

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
ROOT = Path(__file__).parents[2]
ONE_SEGMENT, MANY_SEGMENTS = 64 << 20, 100_000


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


def check_newest(database: Database, acknowledged: int) -> None:
    """The newest session holds all numbers up to the one acknowledged last, once and in order, in a sound store."""
    rows = database.connection().execute(
        "SELECT payload ->> 'result' FROM events JOIN sessions USING (session_id) WHERE event_type = 'tool_result'"
        " AND session_id = (SELECT session_id FROM sessions ORDER BY position DESC LIMIT 1)"
        " ORDER BY events.position"
    )
    numbers = [row[0] for row in rows]
    assert numbers == list(range(len(numbers)))
    assert acknowledged + 1 <= len(numbers) <= acknowledged + 2  # the one it died in may be there too
    assert database.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)


def killed_while_recording(pace: str, segment_bytes: int, seed: int, kills: int = 4) -> None:
    """Kill one process after the other, all of them recording into one store."""
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "peek.db")
        for _ in range(kills):
            acknowledged = run_and_kill(database, pace, segment_bytes, moments.uniform(0, 0.25))
            database.ingest()
            check_newest(database, acknowledged)
        found = database.connection().execute("SELECT status FROM sessions").fetchall()
        assert found == [("interrupted",)] * kills
        assert segments(database.journal_folders[0]) == []
        database.close()


def killed_at_lines(kind: str, seed: int, count: int = 25) -> None:
    """Kill at some lines of the store's code, in a process that may fork."""
    command = [sys.executable, "-m", "tests.soak.kill_points", kind, str(seed), str(count)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr


INGESTS = """
import sys
from peaky_peek.store import Database, ingestion
ingestion._BATCH_BYTES = 20_000
print(flush=True)
Database(sys.argv[1]).ingest(wait=60)
"""


def killed_while_ingesting(seed: int, kills: int = 6, events: int = 3000) -> None:
    """Let processes take in the same dead journal, some at once, and kill them one after the other."""
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "peek.db")
        left_behind(database, events)
        for _ in range(kills):
            command = [sys.executable, "-c", INGESTS, str(database.path)]
            two = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
            for one in two:
                assert one.stdout is not None
                one.stdout.read(1)
            time.sleep(moments.uniform(0, 0.05))
            for one in two:
                one.kill()
                one.communicate()
        database.ingest()
        check_newest(database, events - 1)
        found = database.connection().execute("SELECT status, events FROM sessions").fetchall()
        assert found == [("interrupted", events + 1)]
        assert segments(database.journal_folders[0]) == []
        database.close()


LEAVES = """
import os, sys
import peaky_peek as pp
from peaky_peek.store import journal
journal.SEGMENT_BYTES = 300_000
with pp.trace_session("doomed") as ctx:
    for number in range(int(sys.argv[1])):
        ctx.record_tool_result("count", result=number, data={"filler": "x" * (number % 300)})
    os._exit(0)
"""


def left_behind(database: Database, events: int) -> None:
    """Let a process record and die while the store is locked, so that nobody has taken anything in."""
    connection = database.connection()
    connection.execute("BEGIN IMMEDIATE")
    environment = os.environ | {"PEAKY_PEEK_DB": str(database.path)}
    subprocess.run([sys.executable, "-c", LEAVES, str(events)], check=True, env=environment)
    connection.execute("ROLLBACK")


SHARES = """
import sys
import peaky_peek as pp
with pp.trace_session("shares") as ctx:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[1])):
        ctx.record_tool_result("count", result=number, data={"filler": "x" * 1000})
pp.uninstall()
pp.store.current().ingest(wait=120)
"""


def together(database: Database, processes: int, events: int) -> float:
    """Let processes record into one store at once; return the seconds until all of it is committed, having checked."""
    command = [sys.executable, "-c", SHARES, str(events)]
    environment = os.environ | {"PEAKY_PEEK_DB": str(database.path)}
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        for _ in range(processes)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
    start = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
        assert child.returncode == 0
    took = time.perf_counter() - start
    database.ingest()
    for (session_id,) in database.connection().execute("SELECT session_id FROM sessions").fetchall():
        sql = (
            "SELECT payload ->> 'result' FROM events WHERE session_id = ? AND event_type = 'tool_result'"
            " ORDER BY position"
        )
        rows = [row[0] for row in database.connection().execute(sql, (session_id,))]
        assert rows == list(range(events))
    found = database.connection().execute("SELECT status, count(*), sum(events) FROM sessions GROUP BY 1").fetchall()
    assert found == [("completed", processes, processes * (events + 2))]
    assert database.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.segments() == []
    return took


def eight_at_once(_: int) -> None:
    """Let eight processes begin a store and record into it."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "peek.db")
        together(database, 8, 300)
        database.close()


def scenarios() -> list[Scenario]:
    """Return what `make soak` runs."""
    return [
        Scenario("eight processes on one store", eight_at_once),
        Scenario("killed while taking a journal in, two at once", killed_while_ingesting),
        Scenario("killed at a line of ingestion or burial", lambda seed: killed_at_lines("ingestion", seed)),
        Scenario("killed at a line of recording or rotation", lambda seed: killed_at_lines("recording", seed)),
        Scenario("killed at a line of a migration", lambda seed: killed_at_lines("migration", seed)),
        Scenario("killed while recording, paced", lambda seed: killed_while_recording("paced", ONE_SEGMENT, seed)),
        Scenario("killed while recording flat out", lambda seed: killed_while_recording("flat out", ONE_SEGMENT, seed)),
        Scenario("killed while rotating", lambda seed: killed_while_recording("flat out", MANY_SEGMENTS, seed)),
    ]
