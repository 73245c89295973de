"""What a framework has under way, by the framework's own ids: its callbacks tell of beginnings and ends one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from peaky_peek.capture import context, faults
from peaky_peek.capture.call_spans import ToolSpan
from peaky_peek.capture.context import CURRENT, OpenSession, Scope, inside, open_around
from peaky_peek.capture.frameworks.spans import AgentSpan, ModelSpan, task_from
from peaky_peek.capture.recent import Recent
from peaky_peek.capture.verbs import Common

if TYPE_CHECKING:
    from peaky_peek.capture.served import Missing, Served

Span = AgentSpan | ToolSpan | ModelSpan


class _Run:
    """Something under way, and the place where events went before it began."""

    __slots__ = ("about", "before", "inside", "span", "within")

    def __init__(self, span: Span | None, inside: Scope | None, within: Any, about: Any) -> None:
        self.span, self.inside, self.within, self.about = span, inside, within, about
        self.before = CURRENT.get()


class Runs:
    """What one framework has under way.

    Ids are the framework's: anything that can be hashed. `within` are the ids of what it happens in, the nearest first;
    the first of them that is under way counts, else the place where the code runs. From its beginning to its end a run
    is the place where events go that happen in the same context. What an adapter wants to know of a run later, it says
    `about` it.

    Args:
        framework: the name that its sessions get.
    """

    def __init__(self, framework: str) -> None:
        self.framework = framework
        self._runs = Recent[Any, _Run](10_000)

    @faults.guarded
    def agent(
        self, run: Any, name: str, *, within: Iterable[Any] = (), input: Any = None, common: Common | None = None,  # noqa: A002
        thread: str | None = None, session: dict[str, Any] | None = None, enter: bool = True, about: Any = None,
        framework: str | None = None,
    ) -> None:  # fmt: skip
        """An agent begins; outside of everything, with a session of its own.

        Args:
            run: its id.
            name: what the user calls it.
            within: the ids of what it happens in.
            input: what it is given.
            common: what its `agent_start` says besides.
            thread: the conversation that this is a turn of.
            session: what `TraceContext` is to know of the session, if this opens one; the task also if it does not.
            enter: whether the code that follows in this context is the agent's. If it is not, as where a generator
                tells of the agent to whom it gives values, the steps of the agent say that they are `within` it.
            about: what is to be known later.
            framework: what this agent is built on, where one adapter tells of the agents of many.
        """
        if context.paused:
            return
        scope = self._scope(within) or context.cell_scope()
        if scope is not None and not scope.session.ended:
            handed = scope.session.handed.pop(name, None)
            if handed is not None:
                common = {"upstream_event_ids": [handed], **(common or {})}
            self.describe(scope, thread, framework)
            _name_task(scope.session, input, (session or {}).get("task"))
            session = None
        span = AgentSpan(name, framework or self.framework, input, common, thread=thread, **(session or {}))
        with inside(scope):
            span.open()
        self._enter(run, span, span._inside, within, enter=enter, about=about)

    @faults.guarded
    def step(self, run: Any, *, within: Iterable[Any] = (), about: Any = None) -> None:
        """Something begins that is not recorded itself: what happens in it happens in what it is in."""
        scope = self._scope(within)
        if scope is not None:
            self._enter(run, None, scope, within, about=about)

    @faults.guarded
    def tool(
        self, run: Any, name: str, arguments: Any, *, within: Iterable[Any] = (), call_id: str | None = None,
        common: Common | None = None, about: Any = None,
    ) -> None:  # fmt: skip
        """A tool begins."""
        span = ToolSpan(name, arguments, call_id, by_framework=True, common=common)
        scope = self._scope(within)
        span.open(scope)
        self._enter(run, span, span.inside, within, about=about)

    @faults.guarded
    def model(self, run: Any, request: Callable[[], dict[str, Any]], *, within: Iterable[Any] = ()) -> None:
        """A model call begins. `request` makes the fields of its `llm_request`, if the wire does not see it."""
        if context.paused:
            return
        scope = self._scope(within) or context.scope_for_event()
        if scope is not None:
            span = ModelSpan(scope, request)
            self._enter(run, span, span.inside, within)

    @faults.guarded
    def ended(
        self, run: Any, output: Any = None, error: BaseException | str | None = None, *,
        response: Callable[[], dict[str, Any]] = dict, common: Common | None = None,
    ) -> Span | None:  # fmt: skip
        """Say that a run is over, with its output or an error; return what it was recorded as.

        When it is cancelled, so is what is under way in it: frameworks do not tell of that.

        Args:
            run: its id; one that is not under way is passed over.
            output: what an agent or tool returned.
            error: what went wrong.
            response: makes the fields of the `llm_response` of a model call that the wire did not see.
            common: what the result of a tool says besides.
        """
        known = self._runs.pop(run, None)
        if known is None:
            return None
        if isinstance(error, BaseException) and not isinstance(error, Exception):
            for each in [each for each, other in list(self._runs.items()) if other.within == run]:
                self.ended(each, error=error)
        if known.inside is not None and CURRENT.get() is known.inside:
            CURRENT.set(open_around(known.before))
        span = known.span
        if isinstance(span, ModelSpan):
            span.close(response, error)
        elif span is not None:
            span._common = {**span._common, **(common or {})}
            span.output = output
            span.close(error)
        return span

    @faults.guarded
    def dropped(self, run: Any) -> None:
        """Say that a run, begun as a model call, was none."""
        known = self._runs.get(run)
        if known is not None and isinstance(known.span, ModelSpan):
            known.span.seen = True
        self.ended(run)

    @faults.guarded
    def handoff(self, source: str | None, target: str) -> None:
        """One agent hands over to another, by no tool that was told of: it is recorded as one."""
        facts: Common = {"metadata": {"handoff": {"from": source, "to": target}}}
        span = ToolSpan(f"transfer_to_{target}", None, by_framework=True, common=facts)
        span.open(open_around(CURRENT.get()))
        span.output = target
        span.close()
        span.leads_to(target)

    def scope_of(self, run: Any) -> Scope | None:
        """Return the inside of a run, None if it is not under way."""
        known = self._runs.get(run)
        return None if known is None else known.inside

    def served(self, run: Any) -> Served | Missing | None:
        """Return what gives the recorded result of a tool while a tape is played; None when the tool is to run."""
        known = self._runs.get(run)
        return known.span.served if known is not None and isinstance(known.span, ToolSpan) else None

    def about(self, run: Any) -> Any:
        """Return what was said about a run, None if it is not under way."""
        known = self._runs.get(run)
        return None if known is None else known.about

    def describe(self, scope: Scope, thread: str | None, framework: str | None = None) -> None:
        """Say of a session what it is built on and a turn of, unless the user did."""
        session, learned = scope.session, {}
        if session.framework is None:
            session.framework = learned["framework"] = framework or self.framework
        if session.thread is None and thread is not None:
            session.thread = learned["thread"] = thread
        if learned and session.sampled:
            context.note(session.id, learned)

    def clear(self) -> None:
        """Forget everything."""
        self._runs.clear()

    def _around(self, within: Iterable[Any]) -> Any:
        return next((run for run in within if run in self._runs), None)

    def _scope(self, within: Iterable[Any]) -> Scope | None:
        around = self._around(within)
        return open_around(CURRENT.get()) if around is None else self._runs[around].inside

    def _enter(
        self, run: Any, span: Span | None, scope: Scope | None, within: Iterable[Any], *, enter: bool = True,
        about: Any = None,
    ) -> None:  # fmt: skip
        self._runs[run] = _Run(span, scope, self._around(within), about)
        if scope is not None:
            scope.by_framework = scope.by_framework or span is not None
            if span is not None:
                scope.run = run
            if enter:
                CURRENT.set(scope)


def _name_task(session: OpenSession, given: Any, task: str | None) -> None:
    """Say of a session that it is a run of the job that its first agent does, unless it is known."""
    if session.task is None and session.sampled and session.id in context.open_sessions:
        session.task = task or task_from(given)
        if session.task is not None:
            context.note(session.id, {"task": session.task})
