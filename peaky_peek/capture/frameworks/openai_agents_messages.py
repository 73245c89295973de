"""What the OpenAI Agents SDK passes around, as plain data."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from peaky_peek.capture.frameworks.plain import plain
from peaky_peek.capture.providers import openai_responses
from peaky_peek.capture.providers.fields import arguments
from peaky_peek.capture.verbs import Common
from peaky_peek.encoding import encode


class Call(NamedTuple):
    """A call of a tool."""

    name: str
    arguments: Any
    call_id: str | None
    target: str | None = None
    """The agent that it hands over to."""
    common: Common | None = None
    """What both of its events say besides."""


def given(run_input: Any) -> Any:
    """Return what a run is given: text or items; nothing new where one is taken up again."""
    return run_input if isinstance(run_input, (str, list)) else None


def decided(run_input: Any) -> list[tuple[Any, bool]]:
    """Return the tool calls that a run waited for, and whether each was approved until it is taken up again."""
    if not callable(getattr(run_input, "get_interruptions", None)):
        return []
    status = run_input._context.get_approval_status
    asked = [(item, getattr(item.raw_item, "call_id", None)) for item in run_input.get_interruptions()]
    said = [(item, status(item.tool_name, call_id, existing_pending=item)) for item, call_id in asked if call_id]
    return [(item, approved) for item, approved in said if approved is not None]


def thread(options: dict[str, Any]) -> str | None:
    """Return the conversation that a run is a turn of."""
    config = options.get("run_config")
    group = config.get("group_id") if isinstance(config, dict) else getattr(config, "group_id", None)
    found = group or getattr(options.get("session"), "session_id", None) or options.get("conversation_id")
    return found if isinstance(found, str) else None


def agent_name(agent: Any) -> str:
    """Return what the user calls an agent."""
    return str(getattr(agent, "name", None) or "agent")


def error_text(error: Any) -> str | None:
    """Return what a span says of its error."""
    if not error:
        return None
    detail = (error.get("data") or {}).get("error")
    return f"{error.get('message')}: {detail}" if detail else str(error.get("message"))


def tool_call(context: Any, tool: Any, span_data: Any) -> Call:
    """Return the call of a tool that begins to run, with its server if it is one of MCP."""
    said = getattr(context, "tool_arguments", None)
    server = getattr(getattr(tool, "_tool_origin", None), "mcp_server_name", None)
    common: Common = {"data": {"server": server}} if server else {}
    asked = span_data.input if said is None else said
    return Call(tool.name, arguments(asked), getattr(context, "tool_call_id", None), common=common)


def timeout(tool: Any, result: Any) -> str | None:
    """Return the error of a tool that took too long, of which the SDK makes a result like any other."""
    seconds = getattr(tool, "timeout_seconds", None)
    if seconds is None:
        return None
    say = sys.modules["agents.tool"].default_tool_timeout_error_message
    return f"ToolTimeoutError: {result}" if result == say(tool_name=tool.name, timeout_seconds=seconds) else None


def handoff(agent: Any, response: Any) -> Call | None:
    """Return the call by which an agent hands over, the first of those in what its model said."""
    kind = sys.modules["agents.handoffs"].Handoff
    targets = {
        each.tool_name if isinstance(each, kind) else kind.default_tool_name(each): getattr(
            each, "agent_name", getattr(each, "name", None)
        )
        for each in agent.handoffs
    }
    for item in response.output:
        name = str(getattr(item, "name", None))
        if name in targets:
            return Call(
                name, arguments(getattr(item, "arguments", None)), getattr(item, "call_id", None), targets[name]
            )
    return None


def request(agent: Any, config: Any, instructions: Any, items: Any) -> dict[str, Any]:
    """Return what an agent asks a model that is not asked over HTTP."""
    model = getattr(config, "model", None) or agent.model
    system = [{"role": "system", "content": instructions}] if instructions else []
    settings = {name: said for name, said in (plain(agent.model_settings) or {}).items() if said is not None}
    handoffs = [getattr(each, "tool_name", None) or f"transfer_to_{each.name}" for each in agent.handoffs]
    return {
        "model": model if isinstance(model, str) else getattr(model, "model", None) or type(model).__name__,
        "messages": [*system, *items],
        "tools": [{"name": name} for name in (*(tool.name for tool in agent.tools), *handoffs)] or None,
        "settings": settings or None,
    }


def response(said: Any) -> dict[str, Any]:
    """Return what such a model said; its items are those of the Responses API."""
    body = encode({"output": said.output, "usage": said.usage, "id": said.response_id})
    answer = openai_responses.answer(200, body, stream=False)
    return {
        "content": answer.content, "thinking": answer.thinking, "tool_calls": answer.tool_calls or None,
        "usage": answer.usage,
    }  # fmt: skip


def verdict(guardrail: Any, result: Any, asked: Any) -> dict[str, Any]:
    """Return the fields of a `safety_check` for what a guardrail said; `asked` is what it was run with first."""
    kind = type(guardrail).__name__.removesuffix("Guardrail")
    output = getattr(result, "output", result)
    behavior = getattr(output, "behavior", None)
    if behavior is None:
        is_blocked, message = bool(output.tripwire_triggered), None
    else:
        is_blocked, message = behavior["type"] != "allow", behavior.get("message")
    tool = getattr(getattr(asked, "context", None), "tool_name", None)
    return {
        "outcome": "block" if is_blocked else "pass", "rationale": message, "evidence": output.output_info,
        "blocked_action": tool if is_blocked else None, "data": {"guardrail": kind},
    }  # fmt: skip
