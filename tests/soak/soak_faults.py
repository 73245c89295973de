"""Each call that the recorder makes fails in turn: the agent sees what it sees without us, and we say so once."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import logging
import random
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.capture import context, faults, recorder
from tests.agents import AGENTS, Bare, Recorded
from tests.injection import Injector, Site
from tests.soak import Scenario

KINDS: tuple[Callable[[], Exception], ...] = (
    lambda: OSError(errno.ENOSPC, "No space left on device"),
    lambda: OSError(errno.EIO, "Input/output error"),
    lambda: RuntimeError("our own bug"),
    lambda: KeyError("our own bug"),
    lambda: TypeError("our own bug"),
    AssertionError,
    MemoryError,
    lambda: RecursionError("maximum recursion depth exceeded"),
    lambda: sqlite3.OperationalError("database is locked"),
    lambda: UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
)
INTERRUPTED = "call", "c_return"
"""Where the interpreter looks whether Ctrl-C was pressed."""


class Recording(logging.Handler):
    """A store of its own, strict mode off, and what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        log = logging.getLogger("peaky_peek")
        before = faults.strict, log.propagate, store.current().path if store.chosen() else None
        log.addHandler(self)
        with tempfile.TemporaryDirectory() as folder:
            faults.strict, log.propagate = False, False
            pp.init(db=Path(folder) / "peek.db")
            try:
                yield
            finally:
                log.removeHandler(self)
                faults.strict, log.propagate, path = before
                _let_go()
                recorder.close()
                store.current().close()
                pp.init(db=path)


def _let_go() -> list[str]:
    """End the session that stands for the script, and return the names of those that something left open."""
    for session in list(context.open_sessions.values()):
        if session.id == context._implicit_id:
            context.end(session, "completed")
    left = [session.name for session in context.open_sessions.values()]
    if context.CURRENT.get() is not None:
        left.append("the scope")
    context.CURRENT.set(None)
    context.open_sessions.clear()
    faults.counts.clear()
    return left


def _assert_sound(*context: object) -> None:
    store.current().ingest()
    unread = store.current().connection().execute("SELECT reason, body FROM unreadable").fetchall()
    assert unread == [], context


def _arrived() -> int:
    """The number of events in the store."""
    database = store.current()
    database.ingest()
    connection = database.connection()
    return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


def _run(run: Callable[[], Any], injector: Injector) -> tuple[Any, str]:
    """Run an agent, and return what it saw and what was printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), injector.watching():
        seen = run()
    return seen, printed.getvalue()


def _assert_goes_on() -> None:
    before = _arrived()
    with pp.trace_session("after", new_session=True) as ctx:
        ctx.record_decision("all is well")
    assert pp.status()["faults"] == {}
    assert _arrived() - before == 3


@contextlib.contextmanager
def _collecting() -> Iterator[None]:
    """Make it cheap to collect garbage often; what an interrupt tears up may complain when it is collected."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.unraisablehook = hook


def sites_of(run: Callable[[], Any], events: tuple[str, ...] = ("call", "c_call")) -> list[Site]:
    """The calls that the recorder makes while an agent runs."""
    injector = Injector(events=events)
    _run(run, injector)
    _let_go()
    return injector.sites


def chosen(sites: list[Site], rng: random.Random, count: int) -> list[Site]:
    """Some of the calls: as many different ones as possible, each at a random one of its times."""
    by_call: dict[tuple[str, ...], list[Site]] = {}
    for site in sites:
        by_call.setdefault(site[:3], []).append(site)
    names = list(by_call)
    rng.shuffle(names)
    return [rng.choice(by_call[name]) for name in names[:count]]


def fail(name: str, seed: int, count: int = 40) -> None:
    """Fail calls while the agent of that name runs; each leaves the agent alone, is counted, and is said once."""
    rng = random.Random(seed)
    recording = Recording()
    with recording.on():
        reference = AGENTS[name](Bare())()
        run = AGENTS[name](Recorded())
        assert run() == reference
        _let_go()
        before = _arrived()
        sites = sites_of(run)
        whole = _arrived() - before
        for site in chosen(sites, rng, count):
            error = rng.choice(KINDS)()
            faults._first.clear()
            recording.said.clear()
            before = _arrived()
            seen, printed = _run(run, Injector(site, error))
            _assert_sound(site, error)
            assert seen == reference, (site, error)
            assert printed == "", (site, error)
            counted = pp.status()["faults"]
            assert len(recording.said) == len(counted), (site, error, recording.said)
            assert _let_go() == [], (site, error)
            assert counted or _arrived() - before == whole, (site, error)
            _assert_goes_on()


def interrupt(name: str, seed: int, count: int = 40) -> None:
    """Press Ctrl-C while the recorder is at work: the agent hears of it, and nothing is left half done."""
    rng = random.Random(seed)
    recording = Recording()
    with recording.on(), _collecting():
        run = AGENTS[name](Recorded())
        interrupts = repr(run()).count("KeyboardInterrupt")
        _let_go()
        for site in chosen(sites_of(run, INTERRUPTED), rng, count):
            injector = Injector(site, KeyboardInterrupt("pressed"), INTERRUPTED)
            try:
                seen, _ = _run(run, injector)
            except KeyboardInterrupt as error:
                seen = error
            told = repr(seen)
            del seen
            gc.collect()  # what the interrupt left half consumed ends now
            assert not injector.fired or "pressed" in told or told.count("KeyboardInterrupt") > interrupts, site
            assert pp.status()["faults"] == {}, site
            _assert_sound(site)
            left = _let_go()
            assert left == [] or site.callee.endswith(_ENDING) or site.caller == "return_to", (site, left)
            _assert_goes_on()


def _count(name: str) -> int:
    return 8 if name == "wire" else 40  # a client of a model takes its time


_ENDING = "close", "_end"
"""Where an interrupt comes on top of another exception, and nobody is left to close the span."""


def scenarios() -> list[Scenario]:
    """Faults and interrupts, agent by agent."""
    rest = [name for name in AGENTS if name != "threads"]
    return [
        *(Scenario(f"faults at every call: {each}", partial(fail, each, count=_count(each))) for each in AGENTS),
        *(Scenario(f"interrupts at every call: {each}", partial(interrupt, each, count=_count(each))) for each in rest),
    ]  # fmt: skip
