"""Journals and stores that are damaged: what is whole comes in, the rest is kept apart, and nobody falls over it."""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.capture import recorder
from peaky_peek.cli import main
from peaky_peek.errors import PeekError
from peaky_peek.store import Database, journal
from peaky_peek.store.journal import Damaged, segments
from tests.soak import Scenario
from tests.soak.soak_kill import left_behind

EVENTS = 40


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return data that a bad disk, a cut or a careless program has changed."""
    changed = bytearray(data)
    at = chance.randrange(len(changed))
    match chance.choice(["bit", "bits", "block", "cut", "inserted"]):
        case "bit":
            changed[at] ^= 1 << chance.randrange(8)
        case "bits":
            for _ in range(20):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        case "block":
            changed[at : at + 512] = chance.choice([b"\0", b"\xff"]) * len(changed[at : at + 512])
        case "cut":
            del changed[at:]
        case _:
            changed[at:at] = chance.randbytes(100)
    return bytes(changed)


def damaged_journal(seed: int) -> None:
    """Every record that is whole enters the store, and each stretch that is not is kept beside it, with the reason."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "peek.db")
        left_behind(database, EVENTS)
        (path,) = segments(database.journal_folders[0])
        data = damaged(path.read_bytes(), chance)
        path.write_bytes(data)
        is_newer = journal.version_of(path) > journal.VERSION
        found = list(journal.read(path, 0, is_complete=True))
        whole = [body for body, _ in found if not isinstance(body, Damaged)]
        database.ingest()
        connection = database.connection()
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
        kept = [row[0] for row in connection.execute("SELECT body FROM unreadable ORDER BY offset")]
        if is_newer:
            assert (events, kept, path.read_bytes()) == (0, [], data)
        else:
            assert events == sum(body.startswith(b'["E"') for body in whole)
            assert kept == [bytes(body) for body, _ in found if isinstance(body, Damaged)]
            assert segments(database.journal_folders[0]) == []
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


def readers() -> list[Callable[[], object]]:
    """Return every way in which a user looks at the store."""
    return [
        pp.sessions,
        lambda: pp.sessions("failed tool:search"),
        lambda: pp.events(pp.ALL),
        lambda: pp.events(pp.ALL, data=True),
        lambda: pp.llm_calls(pp.ALL),
        lambda: pp.tool_calls(pp.ALL),
        lambda: pp.decisions(pp.ALL),
        lambda: pp.messages(pp.ALL),
        lambda: pp.session(0),
        lambda: pp.graph(0),
        lambda: pp.tree(0),
    ]


def record(name: str) -> None:
    """Record a session with some of everything."""
    with pp.trace_session(name) as ctx:
        for number in range(20):
            ctx.record_llm_request("gpt-4o", [{"role": "user", "content": f"question {number}"}])
            ctx.record_llm_response("gpt-4o", "answer", usage={"input": 3, "output": 4})
            ctx.record_tool_call("search", {"number": number})
            ctx.record_tool_result("search", [1, 2, number])
            ctx.record_decision("because", 0.4, "stop")


@contextlib.contextmanager
def chosen(path: Path) -> Iterator[None]:
    """Record into the store at `path`, and let go of it."""
    try:
        yield pp.init(db=path)
    finally:
        recorder.close()
        store.current().close()


def says(*arguments: str) -> str:
    """Return what the command line says to the user on its error stream, having checked that it fell over nothing."""
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        error = io.TextIOWrapper(io.BytesIO(), write_through=True)
        with contextlib.redirect_stderr(error):
            code = main(arguments)
    said = error.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert (code == 0) == (said == ""), said
    return said


def damaged_store(seed: int) -> None:
    """Every reader answers, or says one sentence; recording goes on; and a new store has what was recorded since."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "store" / "peek.db"
        with chosen(path):
            record("before")
            record("before, too")
            pp.events(pp.ALL)
            if chance.random() < 0.3:  # the log is damaged, which a killed process left
                shutil.copytree(path.parent, path.parent.with_name("killed"))
        if (killed := path.parent.with_name("killed")).exists():
            shutil.rmtree(path.parent)
            killed.rename(path.parent)
        victim = chance.choice([one for one in path.parent.glob("peek.db*") if one.suffix in (".db", ".db-wal")])
        victim.write_bytes(chance.choice([damaged(victim.read_bytes(), chance), b"", b"not a database " * 999]))
        with chosen(path):
            record("after")
            assert pp.status()["lost"] == 0
            for look in readers():
                with contextlib.suppress(PeekError):
                    look()
            for command in ("list", "show", "doctor"):
                said = says(command).splitlines()
                assert len(said) <= (3 if command == "doctor" else 1), said
        kept = Database(path)
        with contextlib.suppress(PeekError):
            kept.ingest()
        kept.close()
        waits = segments(kept.journal_folders[0]) != []
        for one in path.parent.glob("peek.db*"):
            if one.is_file() and waits:
                one.unlink()
        with chosen(path), contextlib.suppress(PeekError):
            names = pp.sessions()["name"].tolist()
            assert "after" in names, names


def scenarios() -> list[Scenario]:
    """Return what `make soak` runs."""
    return [Scenario("a damaged journal", damaged_journal), Scenario("a damaged store", damaged_store)]


if __name__ == "__main__":
    for one in scenarios():
        one.run(int(sys.argv[1]))
