"""Kills a process at one line of the store's code after the other; what it leaves is whole, and the next one goes on.

`python -m tests.soak.kill_points ingestion 7 40` kills at 40 of the lines that run during ingestion, chosen by seed 7;
without a count, at every one. It is a process of its own because it forks: it has no other thread.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import peaky_peek as pp
from peaky_peek.capture import recorder
from peaky_peek.store import Database, journal, schema
from peaky_peek.store.journal import segments

STORE = os.path.dirname(journal.__file__)  # noqa: PTH120
EVENTS = 12
Work = Callable[[Path], object]


def lines_of(work: Work, folder: Path, last: int | None) -> int:
    """Run `work` in a forked child that dies at its `last` line in the store's code; return how many lines it ran."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal count
            if not frame.f_code.co_filename.startswith(STORE):
                return None
            if event == "line":
                count += 1
                if count == last:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            sys.settrace(trace)
            work(folder)
            sys.settrace(None)
            os.write(writer, b"%d" % count)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in ((-signal.SIGKILL, 0) if last else (0,)), code  # what another thread has done needs no lines here
    return int(said or 0)


def integrity(folder: Path) -> None:
    """The file is sound, for SQLite itself too."""
    connection = sqlite3.connect(folder / "peek.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


class Ingestion:
    """Two segments of a dead process, one record damaged and the end torn; then a second process that is fine."""

    def prepare(self, folder: Path) -> None:
        """Leave journals that nobody has taken in."""
        journal.SEGMENT_BYTES = 1500
        pp.init(db=folder / "peek.db")
        locked = sqlite3.connect(folder / "peek.db", isolation_level=None)
        schema.migrate(locked, folder)
        locked.execute("BEGIN IMMEDIATE")
        if os.fork() == 0:
            with pp.trace_session("doomed") as ctx:
                for number in range(EVENTS):
                    ctx.record_tool_result("count", result=number, data={"filler": "x" * 100})
                os._exit(0)
        os.wait()
        locked.close()
        first, *_ = found = segments(folder / "peek.db.journals")
        assert len(found) > 1
        found[-1].write_bytes(found[-1].read_bytes() + first.read_bytes()[12:40])  # a torn record at the end

    def work(self, folder: Path) -> None:
        """Take the journals in."""
        Database(folder / "peek.db").ingest()

    def check(self, folder: Path) -> None:
        """Everything is there once and in order, and nothing is left over."""
        database = Database(folder / "peek.db")
        database.ingest()
        connection = database.connection()
        rows = connection.execute(
            "SELECT payload ->> 'result' FROM events WHERE event_type = 'tool_result' ORDER BY position"
        )
        assert [row[0] for row in rows] == list(range(EVENTS))
        assert connection.execute("SELECT status, events FROM sessions").fetchall() == [("interrupted", EVENTS + 1)]
        assert connection.execute("SELECT count(*) FROM unreadable").fetchone() == (1,)
        assert list(database.journal_folders[0].iterdir()) == []
        database.close()
        integrity(folder)


class Recording:
    """A process that records, in segments so small that it is always about to begin another one."""

    def prepare(self, folder: Path) -> None:
        """Leave nothing."""

    def work(self, folder: Path) -> None:
        """Record, and say what is acknowledged."""
        journal.SEGMENT_BYTES = 700
        pp.init(db=folder / "peek.db")
        said = os.open(folder / "said", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        with pp.trace_session("doomed") as ctx:
            for number in range(EVENTS):
                ctx.record_tool_result("count", result=number)
                os.write(said, b"x")
        recorder.close()

    def check(self, folder: Path) -> None:
        """What is acknowledged is there once and in order, perhaps with the record it died in."""
        said = folder / "said"
        acknowledged = said.stat().st_size if said.exists() else 0
        database = Database(folder / "peek.db")
        database.ingest()
        rows = database.connection().execute(
            "SELECT payload ->> 'result' FROM events WHERE event_type = 'tool_result' ORDER BY position"
        )
        numbers = [row[0] for row in rows]
        assert numbers == list(range(len(numbers)))
        assert acknowledged <= len(numbers) <= acknowledged + 1
        statuses = [row[0] for row in database.connection().execute("SELECT status FROM sessions")]
        assert statuses in ([], ["interrupted"], ["completed"] if acknowledged == EVENTS else ["interrupted"])
        assert segments(database.journal_folders[0]) == []
        database.close()
        integrity(folder)


class Migration:
    """A store of version 1 with a session in it, brought to version 3 by two scripts that are not released yet."""

    def prepare(self, folder: Path) -> None:
        """Leave a store of today's version."""
        pp.init(db=folder / "peek.db")
        with pp.trace_session("old") as ctx:
            ctx.record_decision("because")

    def work(self, folder: Path) -> None:
        """Open it with newer code."""
        schema._MIGRATIONS = (
            *schema._MIGRATIONS,
            "ALTER TABLE sessions ADD COLUMN mood TEXT;\nUPDATE sessions SET mood = name;\n",
            "CREATE TABLE moods AS SELECT mood FROM sessions;\nALTER TABLE sessions DROP COLUMN mood;\n",
        )
        schema.VERSION += 2
        Database(folder / "peek.db").connection()

    def check(self, folder: Path) -> None:
        """Newer code finds it whole, at the newest version."""
        before = schema._MIGRATIONS, schema.VERSION
        try:
            self.work(folder)
            database = Database(folder / "peek.db")
            assert database.connection().execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
            assert database.connection().execute("SELECT name, events FROM sessions").fetchall() == [("old", 3)]
            assert database.connection().execute("SELECT mood FROM moods").fetchall() == [("old",)]
            database.close()
        finally:
            schema._MIGRATIONS, schema.VERSION = before
        integrity(folder)


KINDS = {"ingestion": Ingestion, "recording": Recording, "migration": Migration}


def main(kind: str, seed: int, count: int | None) -> None:
    """Kill at `count` lines, and check after each what is left."""
    case = KINDS[kind]()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # no disk to wait for: the power stays on
    with tempfile.TemporaryDirectory(dir=memory) as home:
        template, folder = Path(home) / "template", Path(home) / "here"
        template.mkdir()
        if os.fork() == 0:  # whoever prepares has threads and connections, which a fork would copy
            case.prepare(template)
            pp.uninstall()
            os._exit(0)
        assert os.wait()[1] == 0
        shutil.copytree(template, folder)
        total = lines_of(case.work, folder, None)
        points = list(range(1, total + 1))
        if count is not None:
            points = sorted(random.Random(seed).sample(points, min(count, total)))
        for point in points:
            shutil.rmtree(folder)
            shutil.copytree(template, folder)
            lines_of(case.work, folder, point)
            try:
                case.check(folder)
            except BaseException:
                print(f"killed at line {point} of {total} of {kind}", file=sys.stderr)
                raise
        print(f"{len(points)} of {total}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
