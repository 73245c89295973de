"""Where an event belongs: the session that is open, and the event inside which things happen now."""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from peaky_peek import encoding, ids, store
from peaky_peek.capture import faults, program
from peaky_peek.capture.callsite import line_that_lost
from peaky_peek.capture.git import current_commit
from peaky_peek.capture.recorder import active, recorder
from peaky_peek.store.started import note_started


class Limits(NamedTuple):
    """What a root session with its sub-sessions and child processes may cost, and what its agent is stopped for."""

    max_cost_usd: float | None = None
    stop_on: frozenset[str] = frozenset()
    """Any of "cost" and "loop"."""


@dataclass(slots=True, eq=False)
class OpenSession:
    """A session that this process has open."""

    id: str
    name: str
    root_id: str
    sampled: bool = True
    """Whether it is recorded at all."""
    described: bytes = b""
    """Its columns as it began, encoded."""
    ended: bool = False
    first_event: str | None = None
    """What events are put under whose place in it is only guessed."""
    raised: list[BaseException] = field(default_factory=list)
    """Exceptions on their way out, already recorded where they came from."""
    limits: Limits | None = None
    """What its run may do now."""
    general: Limits | None = None
    """What it may do whichever agent is at work in it."""
    stopping: list[frozenset[str]] = field(default_factory=list)
    """What agents at work in it are to be stopped for."""
    followed: bool = False
    """Whether somebody looks at it while it runs."""
    framework: str | None = None
    """What its agent is built on, as far as known."""
    thread: str | None = None
    """The conversation that it is a turn of, as far as known."""
    task: str | None = None
    """The job that it is a run of, as far as known."""
    handed: dict[str, str] = field(default_factory=dict)
    """The handoff that an agent is to begin from, by the agent's name."""
    tape: Any = None
    """The `Tape` that is played to it."""
    verdict: str = "interrupted"
    """How it ends if the program does before anybody ends it."""


class OpenCall(NamedTuple):
    """What tells which call an answer belongs to; not the call itself, which may hold much."""

    id: str
    time_us: int | None
    tool_name: str | None
    """None for a model."""
    call_id: str | None


@dataclass(slots=True, eq=False)
class Scope:
    """What new events belong to: a session, the event around them, and the agent at work."""

    session: OpenSession
    parent_id: str | None
    agent: str | None
    inferred: bool = False
    """Whether the session is only guessed, because the code runs outside all of them."""
    calls: list[OpenCall] = field(default_factory=list)
    """Requests and tool calls recorded one by one that nothing has closed yet, oldest first."""
    tool: Any = None
    """The `ToolSpan` that this is the inside of."""
    model: Any = None
    """The `ModelSpan` of a framework that this is the inside of."""
    run: Any = None
    """The framework's own run that this is the inside of, if it has one."""
    outside: Scope | None = None
    """Where things happen again when this is closed."""
    closed: bool = False
    by_framework: bool = False
    """Whether a framework tells of its end. Where it does so in a task of its own, nobody sets the place back here."""


CURRENT: ContextVar[Scope | None] = ContextVar("peaky_peek_scope", default=None)
"""Set and set back by hand: a token reset fails in a generator that is closed somewhere else."""


class inside:  # noqa: N801 - reads as what it is: `with inside(scope)`
    """Makes `scope` the place where events go while the block runs, or sets another variable of ours."""

    __slots__ = ("_before", "_value", "_variable")

    def __init__(self, value: Any, variable: ContextVar[Any] = CURRENT) -> None:
        self._value, self._variable = value, variable
        self._before: Any = None

    def __enter__(self) -> None:
        try:
            self._before = self._variable.get()
            self._variable.set(self._value)
        except Exception as error:  # noqa: BLE001 - the agent never notices
            faults.report(error)
        except BaseException:  # an interrupt: nobody leaves what was not entered
            if self._variable.get() is self._value:
                self._variable.set(self._before)
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._variable.set(self._before)
        except Exception as error:  # noqa: BLE001 - the agent never notices
            self._variable.set(self._before)
            faults.report(error)


def return_to(scope: Scope | None) -> None:
    """Make `scope` the place where events go from here on."""
    try:
        CURRENT.set(scope)
    except Exception as error:  # noqa: BLE001 - the agent never notices
        CURRENT.set(scope)
        faults.report(error)


HERE: AbstractContextManager[None] = nullcontext()
"""Leaves the place where events go as it is."""


SILENT = Scope(OpenSession("", "", "", sampled=False), None, None)
"""Where nothing is recorded: listeners work here, or what they do would be told to them in turn."""
open_sessions: dict[str, OpenSession] = {}
paused = 0
"""How many want the recording off."""
stopped = False
"""Whether it was switched off altogether, until somebody begins a session or asks for it."""
sample = 1.0
tape: Callable[[], Any] | None = None
"""Gives the `Tape` that is played here; None while none is anywhere."""
limits: Limits | None = None
"""What each run begun now may do."""
origin: dict[str, Any] = {}
"""Session columns that are the same for every session begun now: the notebook and the cell. What `OUTSIDE` asks may
know better."""
patch_others: Callable[[], object] | None = None
"""Patches other libraries, so that their calls are recorded."""
watch: Callable[[OpenSession], None] | None = None
"""Told of each session that begins."""
Ask = Callable[[], Scope | None]
fallback: Ask | None = None
"""Asked for the scope of events outside any session; a notebook gives the session of the running cell."""
OUTSIDE: ContextVar[Ask | None] = ContextVar("peaky_peek_outside", default=None)
"""Asked before: what a cell of a notebook started stays part of that cell, whichever runs by now."""


def current() -> Scope | None:
    """Return what new events belong to here, or None outside any session."""
    return CURRENT.get()


def scope_for_event() -> Scope | None:
    """Return what an event belongs to that happens now: None when recording is off.

    Outside any session it joins the process's only open one, else an implicit one named after the script or the cell.
    """
    if paused:
        return None
    scope = here()
    if scope is not None:
        return scope
    if (scope := cell_scope()) is not None:
        return scope
    if stopped:
        return None
    if len(open_sessions) == 1:
        (session,) = open_sessions.values()
    else:
        session = implicit_session() or _begin_implicit()
    return Scope(session, session.first_event, None, inferred=True)


def cell_scope() -> Scope | None:
    """Return the scope of the notebook cell that the code runs in, None outside notebooks."""
    for ask in (OUTSIDE.get(), fallback):
        if ask is not None and (scope := ask()) is not None:
            return scope
    return None


def open_around(scope: Scope | None) -> Scope | None:
    """Return the scope around one that is closed, passing over those that were closed before their turn."""
    while scope is not None and (scope.closed or scope.session.ended):
        scope = scope.outside
    return scope


def here() -> Scope | None:
    """Return the scope around this code, passing over runs of a framework that were told to be over elsewhere."""
    scope = CURRENT.get()
    while scope is not None and scope.closed and scope.by_framework:
        scope = scope.outside
    return scope


def misplaced(scope: Scope) -> dict[str, Any]:
    """Return what the metadata of an event says whose place is a guess, or whose session has ended."""
    session = scope.session
    if session.ended:
        return {"context": "late", **line_that_lost()}
    lost = scope.parent_id == session.first_event and (session.id != _implicit_id or len(open_sessions) > 1)
    return {"context": "inferred", **(line_that_lost() if lost else {})}


_implicit_id: str | None = None


def implicit_session() -> OpenSession | None:
    """Return the session that is open because nobody opened one."""
    return open_sessions.get(_implicit_id or "")


def _begin_implicit() -> OpenSession:
    global _implicit_id
    around = started_in()
    _implicit_id = ids.new_id()  # first: whatever interrupts the next line, it is known for what it is
    parent = None if around is None else around.session
    session = begin(program.name(), session_id=_implicit_id, parent=parent, code_hash=program.code_hash())
    session.first_event = None if around is None else around.parent_id
    session.verdict = "completed"
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:  # such a process ends without `atexit`
        sys.modules["multiprocessing.util"].Finalize(None, end_all, exitpriority=0)
    return session


_STARTED_IN = "PEAKY_PEEK_PARENT"


def for_programs(scope: Scope) -> dict[str, str]:
    """Return the environment variables that tell a program where it is started: see `started_in`."""
    path, session = str(store.current().path), scope.session
    limits = session.limits and [session.limits.max_cost_usd, [*session.limits.stop_on]]
    place = [path, session.id, session.root_id, session.sampled, limits, scope.parent_id]
    return {"PEAKY_PEEK_DB": path, _STARTED_IN: orjson.dumps(place).decode()}


def started_in() -> Scope | None:
    """Return the scope of another program that this one was started in, if both record into the same store."""
    try:
        path, session_id, root_id, sampled, given, parent_id = orjson.loads(os.environ[_STARTED_IN])
        allowed = Limits(given[0], frozenset(given[1])) if given else None
    except (LookupError, ValueError, TypeError):
        return None
    if path != str(store.current().path):
        return None
    return Scope(OpenSession(session_id, session_id, root_id, bool(sampled), limits=allowed), parent_id, None)


def begin(
    name: str, *, session_id: str | None = None, parent: OpenSession | None = None, resume: bool = False,
    stop_on: frozenset[str] = frozenset(), **fields: Any,
) -> OpenSession:  # fmt: skip
    """Open a session and record that it began."""
    position = ids.new_position()
    session_id = session_id or ids.id_at(position)
    root = parent.root_id if parent else session_id
    sampled = parent.sampled if parent else _is_sampled(session_id if resume else os.urandom(8).hex())
    general = stopping_on(parent.limits if parent else limits, stop_on)
    session = OpenSession(session_id, name, root, sampled, limits=general, general=general)
    session.framework, session.thread, session.task = (fields.get(name) for name in ("framework", "thread", "task"))
    session.tape = played = None if tape is None else tape()
    if patch_others is not None:
        patch_others()
    if sampled:
        if parent is None or parent.id not in open_sessions:
            note_started(session_id)
        recorder().ready()
        values = {
            "name": name, "status": "running", "started_at": now_us(), "owner": recorder().owner,
            "root_session_id": root, "parent_session_id": parent.id if parent else None, "git_commit": current_commit(),
            "forked_from": None if played is None else played.session_id, **_origin(), **fields,
        }  # fmt: skip
        values["version"] = values.get("version") or values.get("code_hash")
        session.described = encoding.encode({key: value for key, value in values.items() if value is not None})
        open_sessions[session_id] = session  # first: whatever interrupts the next line, somebody will end it
        recorder().record_raw("S", [session_id, position], session.described)
    open_sessions[session_id] = session
    if watch is not None:
        try:
            watch(session)
        except BaseException:  # an interrupt: nobody will know of the session
            end(session, "interrupted")
            raise
    return session


def stopping_on(allowed: Limits | None, stop_on: frozenset[str]) -> Limits | None:
    """Return limits that stop an agent for some more."""
    if not stop_on:
        return allowed
    return Limits(allowed.max_cost_usd, allowed.stop_on | stop_on) if allowed else Limits(stop_on=stop_on)


def _origin() -> dict[str, Any]:
    """Return the notebook and the cell that this code belongs to, whichever cell runs by now."""
    ask = OUTSIDE.get()
    return origin if ask is None else getattr(ask, "origin", origin)


def _is_sampled(lot: str) -> bool:
    """Tell whether a session is recorded; one that is resumed draws the same lot each time, by its id."""
    return sample >= 1.0 or zlib.crc32(lot.encode("utf-8", "replace")) < sample * 2**32


def move_open_sessions() -> None:
    """Describe the sessions that are open to the store in use, which is another one now."""
    for session in open_sessions.values():
        if session.sampled:
            recorder().record_raw("S", [session.id, ids.new_position()], session.described)
            note(session.id, {"owner": recorder().owner})


def end(session: OpenSession, status: str, **fields: Any) -> None:
    """Close a session and record how it ended."""
    global _implicit_id
    if session.id not in open_sessions:
        return
    if session.sampled:
        note(session.id, {"status": status, "ended_at": now_us(), **fields})
    session.ended = True
    open_sessions.pop(session.id, None)
    if session.id == _implicit_id:
        _implicit_id = None
    session.raised.clear()
    recorder().forget(session.id)


def cut_short(session_id: str) -> None:
    """Close a session whose beginning or end was interrupted."""
    session = open_sessions.get(session_id)
    if session is not None:
        if session.sampled:  # perhaps it was not said yet that it began
            recorder().record_raw("S", [session_id, ids.new_position()], session.described)
        end(session, "interrupted")


def note(session_id: str, fields: dict[str, Any]) -> None:
    """Record columns of a session."""
    recorder().record_raw("S", [session_id, ids.new_position()], encoding.encode(fields))


def tag_list(tags: Iterable[str] | None) -> list[str]:
    """Return tags as a list, several or just one."""
    return [tags] if isinstance(tags, str) else [faults.text(tag) for tag in tags or ()]


def end_all() -> None:
    """Close what is still open when the process ends: the script's own session is complete, others were cut short."""
    if active() is not None:
        for session in list(open_sessions.values()):
            end(session, session.verdict)


def forget_all() -> None:
    """Forget open sessions without a record, in a forked child: they are its parent's."""
    open_sessions.clear()


def now_us() -> int:
    """Return the time as UTC microseconds."""
    return time.time_ns() // 1000


os.register_at_fork(after_in_child=forget_all)
