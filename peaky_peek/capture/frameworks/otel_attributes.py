"""What the attributes of a span say of an agent, a tool or a model call, in the three dialects that are spoken.

These are OpenTelemetry's semantic conventions for generative AI (`gen_ai.*`, their newer and their older names),
OpenInference and OpenLLMetry (`traceloop.*`). Nothing is guessed: what no attribute says is None.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

Attributes = Mapping[str, Any]

_OPERATIONS = {
    "invoke_agent": "agent", "invoke_workflow": "agent", "execute_tool": "tool", "chat": "model",
    "text_completion": "model", "generate_content": "model", "embeddings": "model",
    "AGENT": "agent", "TOOL": "tool", "LLM": "model", "EMBEDDING": "model",
    "agent": "agent", "workflow": "agent", "tool": "tool", "completion": "model", "embedding": "model",
}  # fmt: skip
_KINDS = ("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "llm.request.type")
_ROLES = {"model": "assistant"}


def kind_of(attributes: Attributes) -> str | None:
    """Return what a span is: "agent", "tool", "model", or None for anything else."""
    return _OPERATIONS.get(str(_first(attributes, _KINDS)))


def kind_named(name: str) -> str | None:
    """Return what a span is by its name, which begins with the operation: some get their attributes only later."""
    operation, _, target = name.partition(" ")
    return _OPERATIONS.get(operation) if target and (operation in ("chat", "embeddings") or "_" in operation) else None


def agent_name(attributes: Attributes, span: str) -> str:
    """Return the name of the agent that a span is a run of."""
    said = _first(attributes, ("gen_ai.agent.name", "agent.name", "traceloop.entity.name", "gen_ai.workflow.name"))
    return str(said or span.removeprefix("invoke_agent ").removeprefix("invoke_workflow "))


def given(attributes: Attributes) -> Any:
    """Return what an agent or a tool was given."""
    said = _first(attributes, ("gen_ai.input.messages", "gen_ai.prompt", "input.value", "traceloop.entity.input"))
    return _words(_loads(said))


def output(attributes: Attributes) -> Any:
    """Return what an agent said in the end."""
    read = _loads(
        _first(attributes, ("gen_ai.output.messages", "gen_ai.completion", "output.value", "traceloop.entity.output"))
    )
    last = _words(read[-1:]) if isinstance(read, list) else None
    return last if isinstance(last, str) else _words(read)


def tool(attributes: Attributes, span: str) -> tuple[str, Any, str | None]:
    """Return the name of a tool, its arguments, and the model's id of the call."""
    name = _first(attributes, ("gen_ai.tool.name", "tool.name", "traceloop.entity.name"))
    arguments = _first(attributes, ("gen_ai.tool.call.arguments", "tool_arguments", "input.value", _ENTITY + "input"))
    call_id = _first(attributes, ("gen_ai.tool.call.id", "tool_call.id"))
    return str(name or span.removeprefix("execute_tool ")), _loads(arguments), None if call_id is None else str(call_id)


_ENTITY = "traceloop.entity."
_RESULTS = ("gen_ai.tool.call.result", "tool_response", "output.value", _ENTITY + "output")


def result(attributes: Attributes, events: Iterable[tuple[str, Attributes]]) -> Any:
    """Return what a tool gave back, told by an attribute or by an event."""
    said = _first(attributes, _RESULTS)
    for name, told in events:
        if said is None and name in ("gen_ai.choice", "gen_ai.tool.message"):
            said = _first(told, ("message", "content", "gen_ai.event.content"))
    return _loads(said)


def failure(events: Iterable[tuple[str, Attributes]], attributes: Attributes, description: str | None) -> str:
    """Return what went wrong, as "Type: message"."""
    for name, told in events:
        if name == "exception":
            raised = str(told.get("exception.type", "error")).rpartition(".")[2]
            return f"{raised}: {told.get('exception.message', '')}"
    said = (attributes.get("error.type"), description or attributes.get("error.message"))
    return ": ".join(str(each) for each in said if each) or "error"


def request(attributes: Attributes) -> dict[str, Any]:
    """Return the fields of the `llm_request` that a span tells of."""
    system = _loads(attributes.get("gen_ai.system_instructions"))
    messages = _messages(attributes, "gen_ai.input.messages", "llm.input_messages", "gen_ai.prompt")
    if system:
        messages.insert(0, {"role": "system", "content": _words(system)})
    definitions = _loads(attributes.get("gen_ai.tool.definitions"))
    tools = definitions if isinstance(definitions, list) else _tools(attributes)
    parameters = _loads(attributes.get("llm.invocation_parameters"))
    settings = dict(parameters) if isinstance(parameters, dict) else {}
    settings |= {
        key.removeprefix("gen_ai.request."): value
        for key, value in attributes.items()
        if key.startswith("gen_ai.request.") and key != "gen_ai.request.model"
    }
    return {
        "provider": _first(attributes, ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")),
        "model": _first(attributes, ("gen_ai.request.model", "llm.model_name", "embedding.model_name")),
        "messages": messages or None, "tools": tools or None, "settings": settings or None,
    }  # fmt: skip


def response(attributes: Attributes) -> dict[str, Any]:
    """Return the fields of the `llm_response` that a span tells of."""
    said = _messages(attributes, "gen_ai.output.messages", "llm.output_messages", "gen_ai.completion")
    answer = said[-1] if said else {}
    finish = _loads(attributes.get("gen_ai.response.finish_reasons")) or [answer.get("finish_reason")]
    usage = {name: _first(attributes, keys) for name, keys in _USAGE.items()}
    return {
        "model": _first(attributes, ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name")),
        "content": answer.get("content"), "tool_calls": answer.get("tool_calls"),
        "finish_reason": finish[0] if isinstance(finish, (list, tuple)) and finish else finish,
        "usage": {name: count for name, count in usage.items() if count is not None} or None,
        "complete": True if said else None,
    }  # fmt: skip


_USAGE = {
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_write": (
        "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning": ("gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning"),
}  # fmt: skip


def _first(attributes: Attributes, keys: Iterable[str]) -> Any:
    return next((attributes[key] for key in keys if attributes.get(key) is not None), None)


def _loads(value: Any) -> Any:
    """Return objects and lists that are told as JSON, anything else as it is: a text that is a number is a text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return list(value) if isinstance(value, tuple) else value


def _words(value: Any) -> Any:
    """Return the text of what is nothing else: a single message, or parts that are all text."""
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        if all(each.get("type") == "text" and "content" in each for each in value):
            return "".join(str(each["content"]) for each in value)
        if len(value) == 1:
            (only,) = value
            words = _words(only.get("parts", only.get("content")))
            return words if isinstance(words, str) else value
    return value


def _messages(attributes: Attributes, key: str, *flattened: str) -> list[dict[str, Any]]:
    """Return the messages of a model call in the form of chat completions."""
    read = _loads(attributes.get(key))
    if not isinstance(read, list):
        read = next((found for prefix in flattened if (found := _unflattened(attributes, prefix))), [])
    return [_message(each) for each in read if isinstance(each, dict)]


def _message(told: dict[str, Any]) -> dict[str, Any]:
    told = told["message"] if isinstance(told.get("message"), dict) else told
    parts = told.get("parts")
    calls = [_call(each) for each in told.get("tool_calls") or () if isinstance(each, dict)]
    content = told.get("content")
    answered = told.get("tool_call_id")
    if isinstance(parts, list):
        rest = []
        for part in parts:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind == "tool_call":
                calls.append(_call(part))
            elif kind == "tool_call_response" and len(parts) == 1:
                answered, content = part.get("id"), part.get("response", part.get("result"))
            else:
                rest.append(part)
        content = _words(rest) if rest else content
    role = _ROLES.get(str(told.get("role")), told.get("role"))
    said = {"role": role, "content": content, "tool_calls": calls or None, "tool_call_id": answered}
    said["finish_reason"] = told.get("finish_reason")
    return {name: value for name, value in said.items() if value is not None or name in ("role", "content")}


def _call(told: dict[str, Any]) -> dict[str, Any]:
    told = told["tool_call"] if isinstance(told.get("tool_call"), dict) else told
    function = told["function"] if isinstance(told.get("function"), dict) else told
    return {"id": told.get("id"), "name": function.get("name"), "arguments": _loads(function.get("arguments"))}


def _tools(attributes: Attributes) -> list[Any]:
    """Return the tools that a model was offered, from attributes with an index."""
    listed = _unflattened(attributes, "llm.tools") or _unflattened(attributes, "llm.request.functions")
    found = (_loads(each.get("tool", {}).get("json_schema", each)) for each in listed if isinstance(each, dict))
    return [each.get("function", each) if isinstance(each, dict) else each for each in found]


def _unflattened(attributes: Attributes, prefix: str) -> list[Any]:
    """Return a list that is told by attributes like `prefix.0.message.role`."""
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if key.startswith(f"{prefix}."):
            *path, last = key[len(prefix) + 1 :].split(".")
            inner = tree
            for name in path:
                inner = inner.setdefault(name, {})
                if not isinstance(inner, dict):
                    break
            else:
                inner[last] = value
    read = _listed(tree)
    return read if isinstance(read, list) else []


def _listed(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(name.isdecimal() for name in tree):
        return [_listed(tree[name]) for name in sorted(tree, key=int)]
    return {name: _listed(value) for name, value in tree.items()}
