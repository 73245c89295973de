"""Sessions and agent spans as context managers: `trace_session`, `start_session`, and the class that both return."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Literal, Self

from peaky_peek import ids, store
from peaky_peek.capture import context, faults, limits, program
from peaky_peek.capture.context import CURRENT, SILENT, OpenSession, Scope, open_around
from peaky_peek.capture.recorder import recorder
from peaky_peek.capture.tracebacks import of_application
from peaky_peek.capture.verbs import Common, Verbs, emit
from peaky_peek.errors import PeekError
from peaky_peek.events import AgentEnd, AgentStart, Error, Event

Status = Literal["ok", "error", "cancelled"]


class TraceContext(Verbs):
    """A run of an agent that is being recorded: a session, or inside one, an agent span in it.

    Enter it with `with` or `async with`. An exception that leaves it is recorded as an `error`, ends it as failed and
    goes on unchanged.

    Args:
        agent_name: names the agent, and the session if this opens one.
        framework: what the agent is built on.
        session_id: opens a session of this id, nested if one is open; a run of an id that exists becomes `id#2`.
        resume: continue the session of that id instead.
        new_session: open a session of its own (nested) even inside another.
        task: groups runs of the same job.
        version: groups runs of the same code.
        tags: labels for the session.
        thread: groups the sessions of one conversation.
        input: what the agent was given.
        code: its source.
        stop_on: "loop", "cost" or both: what the agent is stopped for, as in `pp.init`.

    Example:
        >>> with TraceContext("weather_agent") as ctx:
        ...     event = ctx.record_decision("rain expected", confidence=0.9, chosen_action="take an umbrella")
        >>> event.name
        'take an umbrella'
    """

    _common: Common = {}  # noqa: RUF012 - never changed
    """What its `agent_start` says besides."""
    served: Callable[[], Any] | None = None
    """An agent runs while a tape is played; what it asks for is served."""

    def __init__(
        self, agent_name: str = "agent", framework: str | None = None, session_id: str | None = None, *,
        resume: bool = False, new_session: bool = False, task: str | None = None, version: str | None = None,
        tags: Iterable[str] | None = None, thread: str | None = None, input: Any = None, code: str | None = None,  # noqa: A002
        stop_on: limits.StopOn = None,
    ) -> None:  # fmt: skip
        self.name = agent_name
        self.output: Any = None
        """What the agent returned; recorded when it ends."""
        self._wanted_id = session_id
        self._resume = resume
        self._new_session = new_session or session_id is not None
        self._input, self._code = input, code
        self._stop_on = limits.reasons(stop_on, context.limits and context.limits.max_cost_usd)
        said = {"framework": framework, "task": task, "version": version, "tags": tags, "thread": thread}
        self._fields = {name: value for name, value in said.items() if value is not None}
        self._session: OpenSession | None = None
        self._owns_session = False
        self._start: AgentStart | None = None
        self._inside: Scope | None = None
        self.place: AbstractContextManager[None] = context.HERE
        """Makes this the place where events go while a block runs: a generator does between two of its values."""
        self._opening = ""
        """The id of the session that this begins, known before it is begun: an interrupt may come in between."""
        self._started_at = self._opened_in = 0

    @property
    def session_id(self) -> str | None:
        """The id of the session; None before it is entered."""
        return None if self._session is None else self._session.id

    def open(self) -> Self:
        """Begin, without making this the place where other code's events go."""
        try:
            self._open()
        except BaseException as error:  # noqa: BLE001 - the agent never notices
            self._cut_short(error)
        return self

    def _open(self) -> None:
        if context.paused or self._start is not None:
            return
        outside = context.here()
        self._owns_session = False
        self._opened_in = os.getpid()
        if outside is not None and not self._new_session and not outside.session.ended:
            self._session, parent_id = outside.session, outside.parent_id
        else:
            context.stopped = False
            outside = outside or context.started_in()
            parent = outside.session if outside is not None else None
            parent_id = None if outside is None else outside.parent_id
            wanted = None if self._wanted_id is None else recorder().redactor.clean_text(str(self._wanted_id))
            session_id = _free_id(wanted) if wanted and not self._resume else wanted
            tags = context.tag_list(self._fields.get("tags")) or None
            described = {**self._facts(), **self._fields, "input": self._input, "tags": tags}
            self._opening, self._owns_session = session_id or ids.new_id(), True
            self._session = context.begin(
                self.name,
                session_id=self._opening,
                parent=parent,
                resume=self._resume,
                stop_on=self._stop_on,
                **described,
            )
        if self._stop_on and not self._owns_session:
            limits.tighten(self._session, self._stop_on)
        self._session.raised.clear()
        scope = Scope(self._session, parent_id, self.name)
        self._start = emit(
            AgentStart, scope, {**self._common, "name": self.name}, {"input": self._input, "code": self._code}
        )
        if self._session.first_event is None:
            self._session.first_event = self._start.id or None
        self._inside = Scope(self._session, self._start.id or None, self.name, outside=CURRENT.get())
        self.place = context.inside(self._inside)
        self._started_at = time.perf_counter_ns()  # what beginning took is ours, not the agent's

    def _facts(self) -> dict[str, Any]:
        """Return what there is to know of a session that this opens, besides what the user says."""
        return {} if self._code is None else {"code_hash": program.hash_of(self._code)}

    def close(self, error: BaseException | str | None = None) -> None:
        """End it: completed, or failed with `error`, which may be told in words."""
        try:
            self._close(error)
        except BaseException as fault:  # noqa: BLE001 - the agent never notices
            self._cut_short(fault)

    end = close

    def _cut_short(self, fault: BaseException) -> None:
        """Leave nothing half done behind a fault of ours, or an interrupt in the middle of our work.

        Raises:
            BaseException: the interrupt.
        """
        self._leave()
        if self._owns_session and os.getpid() == self._opened_in:
            context.cut_short(self._opening)
        if not isinstance(fault, Exception):
            raise fault
        faults.report(fault)

    def _leave(self) -> None:
        if self._stop_on and self._session is not None and self._start is not None and not self._owns_session:
            limits.loosen(self._session, self._stop_on)
        self._start = None
        if self._inside is not None:
            self._inside.closed = True
            if CURRENT.get() is self._inside:
                CURRENT.set(open_around(self._inside))

    def _close(self, error: BaseException | str | None) -> None:
        session, start, inside = self._session, self._start, self._inside
        if session is None or start is None or inside is None:
            return
        took = (time.perf_counter_ns() - self._started_at) / 1e6
        self._leave()
        status, session_status = verdict(error)
        if context.paused:  # what it ends with is not recorded; that it has ended is
            if self._owns_session and os.getpid() == self._opened_in:
                context.end(session, session_status)
            return
        if status == "error" and error is not None and not any(known is error for known in session.raised):
            if isinstance(error, BaseException):
                session.raised.append(error)
            emit(Error, inside, {"status": "error"}, described_error(error))
        if os.getpid() != self._opened_in:  # a forked child leaves the end to its parent
            return
        common: Common = {"name": self.name, "status": status, "duration_ms": took, "parent_id": start}
        emit(AgentEnd, inside, common, {"output": self.output})
        if self._owns_session:
            output = {} if self.output is None else {"output": self.output}
            context.end(session, session_status, **output)

    def __enter__(self) -> Self:
        try:
            self._open()
            if self._inside is not None:
                self._inside.outside = CURRENT.get()
                CURRENT.set(self._inside)
        except BaseException as error:  # noqa: BLE001 - the agent never notices
            self._cut_short(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(error)

    @faults.guarded
    def set_parent(self, event: Event | str) -> None:
        """Make `event` the parent of what this context records from now on."""
        if self._inside is not None:
            self._inside.parent_id = faults.text(event) or self._inside.parent_id

    @faults.guarded
    def outcome(self, outcome: str, score: float | None = None, note: str | None = None) -> None:
        """Say whether the run was good: "pass", "fail" or a word of yours, with a score and a note."""
        if self._session is not None and self._session.sampled and not context.paused:
            given = {"outcome": outcome, "score": score, "note": note}
            context.note(self._session.id, {key: value for key, value in given.items() if value is not None})

    def _scope(self) -> Scope | None:
        try:
            if context.paused or self._inside is None:
                return None
            scope = context.here()  # a span opened inside this one, by a tool say, is where it happens
        except Exception as error:  # noqa: BLE001 - the agent never notices
            faults.report(error)
            return None
        if scope is None or (scope.session is not self._session and scope is not SILENT):
            return self._inside
        return scope

    def __repr__(self) -> str:
        return f"TraceContext({self.name!r})"


def trace_session(agent_name: str = "agent", **options: Any) -> TraceContext:
    """Return a context manager that records what happens inside as a session; options are those of `TraceContext`."""
    return TraceContext(agent_name, **options)


def start_session(agent_name: str = "agent", **options: Any) -> TraceContext:
    """Begin a session that spans notebook cells, until its `.end()`; options are those of `TraceContext`."""
    return TraceContext(agent_name, new_session=True, **options).__enter__()


class Paused(BaseException):
    """How a run ends that waits to be taken up again: not as it should, and yet nothing failed."""


def status_of(error: BaseException | str | None) -> Status:
    """Return the status of what ended with an exception, with an error that is only told, or with neither."""
    if error is None:
        return "ok"
    return "error" if isinstance(error, (Exception, str)) else "cancelled"


def verdict(error: BaseException | str | None) -> tuple[Status, str]:
    """Return the status of the span of an agent, and of the session if the span is its root."""
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return "ok", "completed"
    status = status_of(error)
    if status == "error":
        return status, "failed"
    return status, "completed" if isinstance(error, GeneratorExit) else "interrupted"


def described_error(error: BaseException | str) -> dict[str, Any]:
    """Return the fields of an `Error` event for an exception, or for what is only told in words."""
    if isinstance(error, str):
        before, _, message = error.partition(": ")
        is_named = bool(message) and before.replace(".", "").isidentifier()
        return {"error_type": before if is_named else "error", "error_message": message if is_named else error}
    import traceback

    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        trace = "".join(traceback.format_exception(kind, error, of_application(error)))
    except Exception:  # noqa: BLE001 - a hostile exception
        trace = None
    return {"error_type": name, "error_message": faults.text(error), "stack_trace": trace}


def _free_id(wanted: str) -> str:
    """Return `wanted`, or if there is such a session, the next free `wanted#2`."""
    database = store.current()
    try:
        database.ingest(wait=0.5)
        like = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "#%"
        rows = database.connection().execute(
            "SELECT session_id FROM sessions WHERE session_id = ? OR session_id LIKE ? ESCAPE '\\'", (wanted, like)
        )
        taken = {row[0] for row in rows} | context.open_sessions.keys()
    except (PeekError, sqlite3.Error):
        taken = set(context.open_sessions)
    number, free = 1, wanted
    while free in taken:
        number += 1
        free = f"{wanted}#{number}"
    return free
