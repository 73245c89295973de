"""Turns a chat transcript into the events that recording it live would have made.

Nothing is invented: no time, no duration, no model and no cost that the transcript does not tell. Every message is in
one event, whose `metadata["message_index"]` says which it is; `message_of` gives it back as it was.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any, TypeVar, cast

from peaky_peek import ids
from peaky_peek.capture.importance import importance
from peaky_peek.capture.pricing import cost_usd
from peaky_peek.events import (
    AgentEnd,
    AgentStart,
    AgentTurn,
    Decision,
    Error,
    Event,
    LLMRequest,
    LLMResponse,
    PromptPolicy,
    ToolCall,
    ToolResult,
)
from peaky_peek.interop.transcripts import Run
from peaky_peek.store import records

E = TypeVar("E", bound=Event)

_SENT = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call")
_BASH = re.compile(r"```bash\s*\n(.*?)\n?```", re.DOTALL)
_RETURNED = re.compile(r"\s*<returncode>(-?\d+)</returncode>")
_ERROR = re.compile(r"\s*(?:Error|Exception|Traceback \(most recent call last\))")
_FRAMES = re.compile(r"^\s+File .*$", re.MULTILINE)
_TYPE = re.compile(r"^[A-Za-z_][\w.]*(?=:|$)", re.MULTILINE)
_TIMEOUT = re.compile(r"The last command .*?timed out", re.DOTALL)


def events_of(run: Run, session_id: str, name: str, **source: Any) -> list[Event]:
    """Return a run's events in order.

    Args:
        run: the transcript.
        session_id: whose events they are.
        name: what the run is called.
        source: what is noted about the origin, in the metadata of the first event.
    """
    return _Conversation(run, session_id, name, source).events


def message_of(event: Event) -> dict[str, Any] | None:
    """Return the message that an event was made of, exactly, or None for an event that holds no message of its own."""
    if "message_index" not in event.metadata:
        return None
    message = dict(event.data)
    if isinstance(event, PromptPolicy):
        held = event.policy_parameters or {}
    elif isinstance(event, LLMResponse):
        held = {"content": event.content, "tool_calls": event.tool_calls}
    elif isinstance(event, ToolResult):
        held = {"content": event.result}
    else:
        held = {"content": getattr(event, "content", None)}
    return message | {key: value for key, value in held.items() if value is not None}


class _Conversation:
    """Goes through the messages once."""

    def __init__(self, run: Run, session_id: str, name: str, source: dict[str, Any]) -> None:
        self.run = run
        self.events: list[Event] = []
        self._session_id = session_id
        self._name = name
        calls = sum(len(message.get("tool_calls") or ()) for message in run.messages)
        self._position = ids.new_position(4 * len(run.messages) + calls + 4)
        self._asked: tuple[str, int] = ("", 0)
        self._evidence: list[str] = []
        self._pending: list[ToolCall] = []
        self._turns = 0
        self._in_shell = any(_RETURNED.match(_text(m)) for m in run.messages if m["role"] == "user")
        first = next((message for message in run.messages if message["role"] == "user"), {})
        self._start = self._add(
            AgentStart, name, None, input=first.get("content"), data=run.raw, metadata={"format": "chat", **source}
        )
        for index, message in enumerate(run.messages):
            self._message(index, message)
        self._end()

    def _add(self, kind: type[E], name: str, parent: Event | None, message: int | None = None, **fields: Any) -> E:
        if message is not None:
            fields["metadata"] = {"message_index": message}
            held = ("content", "tool_calls") if kind is LLMResponse else ("content",)
            given = self.run.messages[message]
            fields["data"] = {key: value for key, value in given.items() if key not in held or value is None}
        event = kind(
            id=ids.id_at(self._position), session_id=self._session_id, position=self._position,
            parent_id=parent.id if parent else None, name=name, **fields,
        )  # fmt: skip
        event.importance = importance(event)
        self._position += 1
        self.events.append(event)
        return event

    def _message(self, index: int, message: dict[str, Any]) -> None:
        role, content = message["role"], message.get("content")
        if role == "assistant":
            self._answer(index, message)
        elif role in ("tool", "function"):
            self._result(index, message, _error(message))
        elif role in ("system", "developer"):
            parameters = None if content is None else {"content": content}
            self._add(PromptPolicy, role, self._start, index, speaker=role, policy_parameters=parameters)
        elif role == "user" and self._in_shell and self._pending:
            self._result(index, message, _shell_error(_text(message)))
        else:
            who = message.get("name") or role
            turn = {"speaker": role, "turn_index": self._turns, "content": content}
            self._add(AgentTurn, who, self._start, index, agent_id=message.get("name"), **turn)
            self._turns += 1

    def _answer(self, index: int, message: dict[str, Any]) -> None:
        base, kept = self._asked
        new = [_as_sent(earlier) for earlier in self.run.messages[kept:index]]
        messages = records.history(base, kept, new) if base else new
        model, usage, cost = _completion(message)
        model = model or self.run.facts.model
        name, agent, tools = model or "model", message.get("name") or message.get("agent"), self.run.facts.tools
        request = self._add(
            LLMRequest, name, self._start, model=model, messages=cast("list[Any]", messages), tools=tools, agent=agent,
            upstream_event_ids=self._evidence,
        )  # fmt: skip
        self._asked = request.id, index
        calls = self._calls(message)
        response = self._add(
            LLMResponse, name, request, index, model=model, content=message.get("content"), agent=agent, usage=usage,
            tool_calls=message.get("tool_calls"), cost_usd=cost,
        )  # fmt: skip
        evidence, self._evidence, self._pending = self._evidence, [], []
        if not calls:
            return
        chosen = [name for _, name, _ in calls]
        offered = [tool["function"]["name"] for tool in tools or [] if _is_offer(tool)]
        self._add(
            Decision, ", ".join(chosen), self._start, chosen_action=", ".join(chosen), reasoning=_text(message) or None,
            alternatives=[name for name in offered if name not in chosen] if tools else None, agent=agent,
            evidence_event_ids=evidence, metadata={"derived": True},
        )  # fmt: skip
        for call_id, tool_name, arguments in calls:
            called = {"tool_name": tool_name, "arguments": arguments, "call_id": call_id}
            call = self._add(ToolCall, tool_name, self._start, agent=agent, upstream_event_ids=[response.id], **called)
            self._pending.append(call)

    def _calls(self, message: dict[str, Any]) -> list[tuple[str | None, str, Any]]:
        """Return id, name and arguments of what an answer calls."""
        if message.get("tool_calls"):
            return [_call(call.get("id"), call["function"]) for call in message["tool_calls"]]
        if message.get("function_call"):
            return [_call(None, message["function_call"])]
        commands = _BASH.findall(_text(message)) if self._in_shell else []
        return [(None, "bash", {"command": commands[0]})] if len(commands) == 1 else []

    def _result(self, index: int, message: dict[str, Any], error: str | None) -> None:
        call = self._called(message)
        name = call.name if call else str(message.get("name") or "tool")
        result = self._add(
            ToolResult, name, call or self._start, index, tool_name=name, result=message.get("content"), error=error,
            call_id=message.get("tool_call_id") or (call.call_id if call else None), agent=call.agent if call else None,
        )  # fmt: skip
        self._evidence.append(result.id)

    def _called(self, message: dict[str, Any]) -> ToolCall | None:
        """Return the open call that a result answers: by id, else by name, else the next in order."""
        wanted = message.get("tool_call_id"), message.get("name")
        for key, value in zip(("call_id", "tool_name"), wanted, strict=True):
            for call in self._pending:
                if value and getattr(call, key) == value:
                    self._pending.remove(call)
                    return call
            if value and key == "call_id" and any(call.call_id for call in self._pending):
                return None  # it names a call that nobody made
        return self._pending.pop(0) if self._pending else None

    def _end(self) -> None:
        facts = self.run.facts
        if facts.error is not None:
            said = _FRAMES.split(facts.traceback or "")[-1]  # a message may have lines that look like a type
            kind = _TYPE.search(said)
            self._add(
                Error, kind[0] if kind else "error", self._start, error_type=kind[0] if kind else None,
                error_message=facts.error, stack_trace=facts.traceback, status="error",
            )  # fmt: skip
        answers = [event.content for event in self.events if isinstance(event, LLMResponse) and event.content]
        status = "ok" if facts.error is None else "error"
        self._add(AgentEnd, self._name, self._start, output=answers[-1] if answers else None, status=status)


def _call(call_id: Any, function: dict[str, Any]) -> tuple[str | None, str, Any]:
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError):  # a model may write what is no JSON: that is worth seeing
            arguments = json.loads(arguments)
    return call_id or None, function["name"], arguments


def _as_sent(message: dict[str, Any]) -> dict[str, Any]:
    """The part of a message that a model is sent."""
    return {key: message[key] for key in _SENT if key in message}


def _is_offer(tool: Any) -> bool:
    return isinstance(tool, dict) and isinstance(tool.get("function"), dict) and "name" in tool["function"]


def _completion(message: dict[str, Any]) -> tuple[str | None, dict[str, int | None] | None, float | None]:
    """Return model, usage and cost, where the raw completion was kept with the message."""
    extra = message.get("extra")
    completion = extra.get("response") if isinstance(extra, dict) else None
    if not isinstance(completion, dict):
        return None, None, None
    model, counts = completion.get("model"), completion.get("usage")
    model = model if isinstance(model, str) else None
    if not isinstance(counts, dict):
        return model, None, None
    read, written = (counts.get(f"{side}_tokens_details") or {} for side in ("prompt", "completion"))
    usage = {
        "input": counts.get("prompt_tokens"), "output": counts.get("completion_tokens"),
        "cache_read": read.get("cached_tokens"), "reasoning": written.get("reasoning_tokens"),
    }  # fmt: skip
    billed = counts.get("cost")  # some hosts say what they billed, in US dollars
    cost = float(billed) if isinstance(billed, (int, float)) else cost_usd(None, model, usage) if model else None
    return model, {kind: count for kind, count in usage.items() if count is not None}, cost


def _text(message: dict[str, Any]) -> str:
    """The text of a message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _error(message: dict[str, Any]) -> str | None:
    """Return why a tool failed: what the transcript says in so many words, else a result that begins like an error."""
    if "error" in message:
        error = message["error"]
        return (error if isinstance(error, str) else json.dumps(error)) if error else None
    text = _text(message)
    return text if message.get("is_error") or _ERROR.match(text) else None


def _shell_error(text: str) -> str | None:
    returned = _RETURNED.match(text)
    if returned:
        return f"return code {returned[1]}" if int(returned[1]) else None
    return "timed out" if _TIMEOUT.match(text) else None
