"""Items of OpenAI's Responses API, of which a prompt and an answer are made: who calls a tool, and what comes of it."""

from __future__ import annotations

from typing import Any

from peaky_peek.attachments import described
from peaky_peek.capture.providers.fields import HostedCall, ToolReturn, arguments, dict_of, dicts_of, list_of, text_of

_CALL = "_call"
_WHOLE = ("input", "action", "actions", "operation")
"""What a call asks for stands in one of these, as it is ..."""
_NAMED = ("code", "queries", "revised_prompt")
"""... or is one of these by its name."""
_RESULTS = ("output", "outputs", "results", "tools")


def is_call(item: dict[str, Any]) -> bool:
    """Tell whether an item calls a tool, of whichever kind.

    >>> is_call({"type": "web_search_call"}), is_call({"type": "message"})
    (True, False)
    """
    return (text_of(item.get("type")) or "").endswith(_CALL)


def is_output(item: dict[str, Any]) -> bool:
    """Tell whether an item is what came of a call."""
    return item.get("type") == "tool_search_output" or (text_of(item.get("type")) or "").endswith("_call_output")


def call(item: dict[str, Any]) -> dict[str, Any]:
    """Return a call as `{"id", "name", "arguments"}`, with the namespace of the tool if it has one."""
    said = {"id": _id(item), "name": _name(item), "arguments": _arguments(item)}
    return said | {"namespace": item["namespace"]} if text_of(item.get("namespace")) else said


def calls(messages: list[Any]) -> dict[str, dict[str, Any]]:
    """Return the tool calls that a history shows, by call id."""
    return {str(_id(item)): call(item) for item in dicts_of(messages) if is_call(item) and _id(item)}


def returns(messages: list[Any]) -> list[ToolReturn]:
    """Return the tool results among messages."""
    outputs = [item for item in dicts_of(messages) if is_output(item)]
    return [ToolReturn(call_id, _result(item), _error(item)) for item in outputs if (call_id := _id(item))]


def tool_names(tools: list[Any]) -> list[str]:
    """Return the names of the tools offered; those that the provider runs are called by their type.

    >>> tool_names([{"type": "function", "name": "search"}, {"type": "mcp", "server_label": "git"}, {"type": "shell"}])
    ['search', 'git', 'shell']
    """
    names = []
    for tool in dicts_of(tools):
        inside = tool_names(list_of(tool.get("tools")))
        name = text_of(tool.get("name")) or text_of(tool.get("server_label")) or text_of(tool.get("type"))
        names += inside or [name or ""]
    return [name for name in names if name]


def split(output: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[HostedCall]]:
    """Return the calls in an answer that the agent is to run, and those that the provider ran itself."""
    results = {_id(item): item for item in output if is_output(item)}
    own, hosted = [], []
    for item in filter(is_call, output):
        is_ours = text_of(item.get("call_id")) and item.get("execution") != "server"
        if is_ours and _id(item) not in results:
            own.append(call(item))
        else:
            came = results.get(_id(item), item)
            server = text_of(item.get("server_label"))
            error = _error(came) or _error(item)
            hosted.append(HostedCall(_id(item), _name(item), _arguments(item), _result(came), error, server))
    return own, hosted


def _id(item: dict[str, Any]) -> str | None:
    return text_of(item.get("call_id")) or text_of(item.get("id"))


def _name(item: dict[str, Any]) -> str:
    return text_of(item.get("name")) or str(item.get("type")).removesuffix(_CALL)


def _arguments(item: dict[str, Any]) -> Any:
    if "arguments" in item:
        return arguments(item["arguments"])
    whole = next((item[name] for name in _WHOLE if item.get(name)), None)
    return whole if whole is not None else {name: item[name] for name in _NAMED if item.get(name)}


def _result(item: dict[str, Any]) -> Any:
    """Return what came of a call; where the provider does not show it, at least how it went."""
    if attachment := described(item):
        return attachment
    shown = next((item[name] for name in _RESULTS if item.get(name) is not None), None)
    is_silent = shown is None and is_call(item) and item.get("status") and not _error(item)
    return {"status": item["status"]} if is_silent else shown


def _error(item: dict[str, Any]) -> str | None:
    error = item.get("error")
    said = text_of(error) or text_of(dict_of(error).get("message")) or (str(error) if error else None)
    if said is None and item.get("status") == "failed":
        return text_of(item.get("output")) or "failed"
    return said
