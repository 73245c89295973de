"""AutoGen: agents, teams, tools, handoffs, and the model clients that speak no HTTP.

Its own surfaces tell too little. The events of the `autogen_core.events` logger name a tool without the id of the call
and without its agent and, if it raised, not at all; the OpenTelemetry spans have the id but neither arguments nor
result, and are made only where a tracer provider is set up. So the methods are wrapped that all of it goes through:
`run`, `run_stream`, `on_messages` and `on_messages_stream` of agents, `run_stream` of teams, `run_json` of tools,
`call_tool` of workbenches and `create` of model clients, in the subclasses that define their own too. They are the
methods of AutoGen's public interfaces, get everything there is to record, and are looked up when they are called, so
that it does not matter when an agent was made.

The agents of a team run in tasks of its runtime. An embedded one is started inside the team's run and inherits its
place; for any other, each message that it delivers is handled inside the run of the team that the message is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from peaky_peek.capture import faults
from peaky_peek.capture.context import CURRENT, HERE, inside, return_to, scope_for_event
from peaky_peek.capture.frameworks.autogen_words import as_chat, called, heard, loads, said
from peaky_peek.capture.frameworks.plain import plain
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.functions import Arguments
from peaky_peek.capture.patching import Method, Patch, Patches
from peaky_peek.capture.verbs import Common, emit
from peaky_peek.capture.wrapping import Span, Unseen, wrap
from peaky_peek.events import Decision

_runs = Runs("autogen")
_teams: dict[str, _Turn] = {}
"""The teams at work, by the key that the agents of a team have in its runtime."""


def install() -> None:
    """Record what agents and teams do, whenever they were made.

    Raises:
        AttributeError: this version of AutoGen has other methods.
    """
    if missing := _patches.missing():
        raise AttributeError(f"there is no {', no '.join(missing)}")
    _patches.install()


def uninstall() -> None:
    """Put the methods back."""
    _patches.uninstall()
    _runs.clear()
    _teams.clear()


class _Run:
    """A call of a wrapped method. It is its own id among the runs."""

    output: Any = None
    place = HERE
    served: Callable[[], Any] | None = None

    def open(self) -> Self:
        before = CURRENT.get()
        self._begin()
        scope = _runs.scope_of(self)
        if scope is not None:
            self.place = inside(scope)
        return_to(before)
        return self

    def close(self, error: BaseException | None = None) -> None:
        self._end(error)

    def _begin(self) -> None:
        raise NotImplementedError

    def _end(self, error: BaseException | None) -> None:
        raise NotImplementedError


class _Turn(_Run):
    """An agent or a team at work: one run, however many of its methods that goes through."""

    def __init__(self, agent: Any, given: Any, around: _Turn | None, key: str | None = None) -> None:
        self.agent = agent
        self.ran: set[str | None] = set()
        """The ids of the tool calls that were recorded as they ran."""
        self.handed: dict[str, str] = {}
        """The events with which agents of this team handed over, by the name of the next agent."""
        self._asked: dict[str, Any] = {}
        self._handed_to: set[str] = set()
        self._given, self._around, self._key = given, around, key

    def target_of(self, tool: str) -> str | None:
        """Return the name of the agent that a tool of this agent hands over to, None for other tools."""
        handoff = getattr(self.agent, "_handoffs", {}).get(tool)
        return None if handoff is None else str(handoff.target)

    def handed_over(self, target: str, result: str | None) -> None:
        """Remember a handoff, so that the next agent's run follows from it."""
        self._handed_to.add(target)
        if self._around is not None and result:
            self._around.handed[target] = result

    @faults.guarded
    def saw(self, item: Any) -> None:
        """Take note of a message that the agent or the team yields."""
        kind = type(item).__name__
        is_own = self._key is None and getattr(item, "source", None) == self.agent.name
        if kind == "ToolCallRequestEvent" and is_own:
            self._asked |= {call.id: call for call in item.content}
        elif kind == "ToolCallExecutionEvent" and is_own:
            for result in item.content:
                if result.call_id not in self.ran:
                    self._never_ran(result)
        elif kind in ("Response", "TaskResult"):
            self.output = item
            message: Any = getattr(item, "chat_message", None)
            if type(message).__name__ == "HandoffMessage" and message.target not in self._handed_to:
                tool = _Tool(
                    f"transfer_to_{message.target}", None, None, self, target=message.target, within=(self,)
                ).open()
                tool.output = message.content
                tool.close()

    def _never_ran(self, result: Any) -> None:
        """Record a call that came to nothing: there is no such tool, or its arguments are no JSON."""
        asked = self._asked.get(result.call_id)
        arguments = None if asked is None else loads(asked.arguments)
        tool = _Tool(result.name, arguments, result.call_id, self, within=(self,)).open()
        tool.output = None if result.is_error else result.content
        tool.close(result.content if result.is_error else None)

    def _begin(self) -> None:
        name = str(self.agent.name)
        cause = self._around.handed.pop(name, None) if self._around is not None else None
        common: Common = {} if cause is None else {"upstream_event_ids": [cause]}
        _runs.agent(self, name, input=heard(self._given), common=common)
        if self._key is not None:
            _teams.setdefault(self._key, self)

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            self.saw(self.output)
        if self._key is not None and _teams.get(self._key) is self:
            del _teams[self._key]
        _runs.ended(self, said(self.output), error)


class _Within(Unseen):
    """Another method of an agent that is at work already."""

    def __init__(self, turn: _Turn) -> None:
        self.saw = turn.saw


class _Tool(_Run):
    """A tool that an agent runs, perhaps to hand over to another one."""

    def __init__(
        self, name: str, arguments: Any, call_id: str | None, turn: _Turn | None, *, target: str | None = None,
        within: tuple[_Turn, ...] = (),
    ) -> None:  # fmt: skip
        self.name = name
        self._arguments, self._call_id, self._turn, self._target = arguments, call_id, turn, target
        self._within = within
        if turn is not None:
            turn.ran.add(call_id)

    def saw(self, item: Any) -> None:
        self.output = item  # the last that it yields is the result

    def close(self, error: BaseException | str | None = None) -> None:
        output = self.output
        if type(output).__name__ == "ToolResult":
            output = output.to_text()
            if self.output.is_error:
                output, error = None, error or output
        span = _runs.ended(self, said(output), error)
        result = getattr(span, "result", None)
        if self._turn is not None and self._target is not None and result is not None:
            self._turn.handed_over(self._target, result.id)

    def _begin(self) -> None:
        common: Common = {}
        if self._turn is not None and self._target is not None:
            common["metadata"] = {"handoff": {"from": self._turn.agent.name, "to": self._target}}
        _runs.tool(self, self.name, self._arguments, call_id=self._call_id or None, within=self._within, common=common)


class _Model(_Run):
    """A model client that is asked; recorded here if the wire sees nothing of it."""

    def __init__(self, client: Any, asked: dict[str, Any]) -> None:
        self._client, self._asked = client, asked

    def saw(self, item: Any) -> None:
        self.output = item  # the last that it yields is the whole answer

    def _begin(self) -> None:
        _runs.model(self, self._request)

    def _end(self, error: BaseException | None) -> None:
        _runs.ended(self, error=error, response=self._response)

    def _request(self) -> dict[str, Any]:
        settings = dict(self._asked.get("extra_create_args") or {})
        return {
            "provider": type(self._client).__name__, "model": getattr(self._client, "_create_args", {}).get("model"),
            "messages": [each for message in self._asked.get("messages", ()) for each in as_chat(plain(message))],
            "tools": [plain(getattr(tool, "schema", tool)) for tool in self._asked.get("tools", ())] or None,
            "settings": settings or None,
        }  # fmt: skip

    def _response(self) -> dict[str, Any]:
        answer = self.output
        if type(answer).__name__ != "CreateResult":
            return {"complete": False}
        calls = answer.content if isinstance(answer.content, list) else []
        return {
            "content": None if calls else answer.content, "thinking": answer.thought, "usage": plain(answer.usage),
            "tool_calls": [called(plain(call)) for call in calls] or None, "finish_reason": answer.finish_reason,
            "complete": True, **({"data": {"cached": True}, "cost_usd": 0.0} if answer.cached else {}),
        }  # fmt: skip


class _Choice(Unseen):
    """A model's choice of who speaks next in a team: a decision, though no tool is called."""

    def __init__(self, candidates: Any) -> None:
        self._candidates = candidates

    def close(self, error: BaseException | None = None) -> None:
        scope = None if error is not None else scope_for_event()
        if scope is not None:
            others = [name for name in self._candidates or () if name != self.output]
            chosen = {"chosen_action": self.output, "alternatives": others}
            emit(Decision, scope, {"metadata": {"derived": True}}, chosen)


class _There(Unseen):
    """A message for a team that is at work, which the runtime delivers from wherever it was started."""

    def __init__(self, turn: _Turn) -> None:
        scope = _runs.scope_of(turn)
        if scope is not None:
            self.place = inside(scope)


Make = Callable[[Any, dict[str, Any]], Span]


def _wrapping(make: Make) -> Callable[[Method], Method]:
    """Return what wraps a method in the span that `make(self, arguments)` gives."""

    def wrapped(original: Method) -> Method:
        arguments = Arguments(original)

        def span(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
            return make(args[0], arguments.named(args, kwargs)) if _patches.installed else Unseen()

        return wrap(original, span)

    return wrapped


def _at_work() -> _Turn | None:
    """Return the agent or team that is at work here."""
    scope = CURRENT.get()
    while scope is not None and not isinstance(scope.run, _Turn):
        scope = scope.outside
    return None if scope is None else scope.run


def _agent(agent: Any, given: dict[str, Any]) -> Span:
    around = _at_work()
    if around is not None and around.agent is agent:
        return _Within(around)
    return _Turn(agent, given.get("task", given.get("messages")), around)


def _team(team: Any, given: dict[str, Any]) -> Span:
    return _Turn(team, given.get("task"), _at_work(), team._team_id)


def _tool(tool: Any, given: dict[str, Any]) -> Span:
    turn = _at_work()
    target = None if turn is None else turn.target_of(tool.name)
    return _Tool(tool.name, given.get("args"), given.get("call_id"), turn, target=target)


def _workbench_tool(workbench: Any, given: dict[str, Any]) -> Span:
    if hasattr(workbench, "_tools"):  # a static one: each of its tools is recorded, with what it raises
        return Unseen()
    return _Tool(given.get("name", "tool"), given.get("arguments"), given.get("call_id"), _at_work())


def _model(client: Any, asked: dict[str, Any]) -> Span:
    return _Model(client, asked)


def _choice(_: Any, given: dict[str, Any]) -> Span:
    return _Choice(given.get("participants"))


def _message(recipient: Any, _: dict[str, Any]) -> Span:
    turn = _teams.get(recipient.id.key)
    return Unseen() if turn is None else _There(turn)


_TEAMS = "autogen_agentchat.teams._group_chat"
_OF_AGENTS = ("run", "run_stream", "on_messages", "on_messages_stream")
_patches = Patches(
    Patch("autogen_agentchat.agents", "BaseChatAgent", _OF_AGENTS, _wrapping(_agent), heirs=True),
    Patch("autogen_agentchat.teams", "BaseGroupChat", ("run_stream",), _wrapping(_team)),
    Patch(f"{_TEAMS}._sequential_routed_agent", "SequentialRoutedAgent", ("on_message_impl",), _wrapping(_message)),
    Patch(f"{_TEAMS}._selector_group_chat", "SelectorGroupChatManager", ("_select_speaker",), _wrapping(_choice)),
    Patch("autogen_core.tools", "BaseTool", ("run_json",), _wrapping(_tool)),
    Patch("autogen_core.tools", "BaseStreamTool", ("run_json_stream",), _wrapping(_tool)),
    Patch("autogen_core.tools", "Workbench", ("call_tool",), _wrapping(_workbench_tool), heirs=True),
    Patch("autogen_core.models", "ChatCompletionClient", ("create", "create_stream"), _wrapping(_model), heirs=True),
)
