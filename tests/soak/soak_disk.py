"""A disk that is full and has room again, and a write lock that somebody else holds."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.capture import recorder
from peaky_peek.store import Database
from tests.soak import Scenario
from tests.soak.soak_kill import ROOT

FILLS = """
import json, os, sys
import peaky_peek as pp
from peaky_peek.capture import recorder
size, ballast = int(sys.argv[1]), sys.argv[2]
acknowledged = []
def record(ctx, number):
    before = recorder.recorder().lost
    ctx.record_tool_result("count", result=number, data={"filler": "x" * size})
    if recorder.recorder().lost == before:
        acknowledged.append(number)
    return recorder.recorder().lost - before
with pp.trace_session("full") as ctx:
    number = lost = 0
    while lost < 20:
        lost += record(ctx, number)
        number += 1
    told = pp.status()["lost"]
    os.unlink(ballast)
    later = sum(record(ctx, number + more) for more in range(20))
print(json.dumps({"acknowledged": acknowledged, "lost": lost, "told": told, "later": later}))
"""


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """Mount a file system of this size, which only root may do."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def full_disk(seed: int) -> None:
    """What could be written nowhere is counted and said once; recording resumes by itself; the rest is all there."""
    chance = random.Random(seed)
    with small_disk("6m") as disk:
        (disk / "ballast").write_bytes(b"x" * (5 << 20))
        environment = os.environ | {"PEAKY_PEEK_DB": str(disk / "peek.db"), "TMPDIR": str(disk)}
        environment.pop("PEAKY_PEEK_STRICT", None)
        command = [sys.executable, "-c", FILLS, str(chance.randrange(10, 30_000)), str(disk / "ballast")]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        assert (found["told"], found["later"]) == (found["lost"], 0), found
        assert ran.stderr.count("No space left on device") == 1, ran.stderr
        database = Database(disk / "peek.db")
        database.ingest()
        sql = "SELECT payload ->> 'result' FROM events WHERE event_type = 'tool_result' ORDER BY position"
        rows = [row[0] for row in database.connection().execute(sql)]
        assert rows == found["acknowledged"]
        assert database.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.segments() == []
        database.close()


LIMITED = """
import json, resource, signal
import peaky_peek as pp
from peaky_peek.errors import PeekError
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
with pp.trace_session("limited") as ctx:
    for number in range(1000):
        ctx.record_tool_result("count", result=number, data={"filler": "x" * 500})
    try:
        pp.sessions()
        said = None
    except PeekError as error:
        said = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    frame = pp.events("limited", types="tool_result", data=True)
print(json.dumps({"said": said, "numbers": [data["result"] for data in frame["data"]], "lost": pp.status()["lost"]}))
"""


def limited_files(seed: int) -> None:
    """Where no file may grow further, a new segment goes on, the store says so, and takes all in when it may grow."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PEAKY_PEEK_DB": str(Path(folder) / "peek.db")}
        command = [sys.executable, "-c", LIMITED]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
        assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
        found = json.loads(ran.stdout)
        assert "cannot be used" in found["said"], found["said"]
        assert "safe in the journal" in found["said"]
        assert (found["lost"], found["numbers"]) == (0, list(range(1000)))


def foreign_lock(seconds: float) -> None:
    """While another process holds the write lock, recording goes on; afterwards all of it is there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peek.db"
        pp.init(db=path)
        with pp.trace_session("before"):
            pass
        pp.sessions()
        holds = (
            "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "connection.execute('BEGIN EXCLUSIVE'); print(flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", holds, str(path)]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert other.stdout is not None
        other.stdout.readline()
        with pp.trace_session("meanwhile") as ctx:
            for number in range(1000):
                ctx.record_tool_result("count", result=number)
            with contextlib.suppress(pp.PeekError):  # StoreLocked; a frame would have waited for 30 s
                store.current().ingest(wait=seconds)
                raise AssertionError("the lock is not held")
            assert (pp.status()["lost"], pp.status()["faults"]) == (0, {})
        other.communicate(b"")
        assert pp.sessions()["events"].tolist() == [2, 1002]
        rows = sqlite3.connect(path)
        assert rows.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows.close()
        recorder.close()
        store.current().close()


def scenarios() -> list[Scenario]:
    """Return what `make soak` runs; only root may mount a small disk."""
    return [
        *([Scenario("a disk that is full and has room again", full_disk)] if os.geteuid() == 0 else []),
        Scenario("files that may not grow", limited_files),
        Scenario("a foreign write lock for a minute", lambda _: foreign_lock(60)),
    ]
