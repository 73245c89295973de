"""MCP: `ClientSession.call_tool`, so that the call of a tool says which server it ran on.

A framework that offers the tools of a server to a model records their calls itself: then only the server is added. A
call that nobody else records is a tool call of its own.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from peaky_peek.capture import faults
from peaky_peek.capture.call_spans import ToolSpan
from peaky_peek.capture.context import CURRENT, HERE
from peaky_peek.capture.patching import Method, Patch, Patches
from peaky_peek.capture.tracebacks import step_out, stepping_out

_servers: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""The server of each session, for versions whose sessions do not keep what it said of itself."""


def install() -> None:
    """Record the tool calls of every session from now on, whenever it was begun.

    Raises:
        AttributeError: the sessions of this version call no tools.
    """
    from mcp.client.session import ClientSession

    for name in ("call_tool", "initialize"):
        getattr(ClientSession, name)
    _patches.install()


def uninstall() -> None:
    """Put everything back."""
    _patches.uninstall()
    _servers.clear()


def _naming(original: Method) -> Method:
    async def initialize(self: Any, *args: Any, **kwargs: Any) -> Any:
        with stepping_out:
            result = await original(self, *args, **kwargs)
        _remember(self, result)
        return result

    return initialize


def _recorded(original: Method) -> Method:
    async def call_tool(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _patches.installed:
            with stepping_out:
                return await original(self, *args, **kwargs)
        tool, span = _begun(self, args, kwargs) or (None, None)
        with HERE if span is None else span.place:
            try:
                result = await original(self, *args, **kwargs)
            except BaseException as error:
                step_out(error)
                if span is not None:
                    span.close(error)
                raise
        _ended(tool, span, result)
        return result

    return call_tool


_patches = Patches(
    Patch("mcp.client.session", "ClientSession", ("call_tool",), _recorded),
    Patch("mcp.client.session", "ClientSession", ("initialize",), _naming),
)


@faults.guarded
def _remember(session: Any, result: Any) -> None:
    if (info := _field(result, "server_info", "serverInfo")) is not None:
        _servers[session] = info.name


@faults.guarded
def _begun(session: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[ToolSpan, ToolSpan | None]:
    """Begin a call. Return the span that it is recorded as, and that span again if it is our own."""
    given = {**dict(zip(("name", "arguments"), args, strict=False)), **kwargs}
    name = str(given.get("name"))
    facts = {"server": server} if (server := _server(session)) else {}
    scope = CURRENT.get()
    around = None if scope is None else scope.tool
    if around is not None and _is_call_of(around.name, name):
        around.facts.update(facts)
        return around, None
    own = ToolSpan(name, given.get("arguments"), by_framework=True, common={"data": facts})
    return own, own.open()


@faults.guarded
def _ended(tool: ToolSpan | None, own: ToolSpan | None, result: Any) -> None:
    """End a call that was answered; the answer may be that it failed, which not every framework lets be seen."""
    if tool is None:
        return
    said = _said(result)
    is_error = _field(result, "is_error", "isError")
    tool.failure = (said if isinstance(said, str) and said else json.dumps(said)) if is_error else None
    if own is not None:
        own.output = None if is_error else said
        own.close()


def _server(session: Any) -> str | None:
    """Return what a server calls itself."""
    info = getattr(session, "server_info", None)
    return _servers.get(session) if info is None else info.name


def _field(value: Any, name: str, name_in_mcp_1: str) -> Any:
    """Return a field by its name of today: the old one, where it is there for old code, warns."""
    return getattr(value, name) if hasattr(value, name) else getattr(value, name_in_mcp_1, None)


def _is_call_of(recorded: str, tool_name: str) -> bool:
    """Tell whether a tool that is recorded is this one: frameworks put the name of the server before it."""
    before, found, after = recorded.rpartition(tool_name)
    return bool(found) and not after and not before[-1:].isalnum()


@faults.guarded
def _said(result: Any) -> Any:
    """Return what a tool returned: a text as text, structured content as it is, and both only where they differ."""
    whole = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    content, structured = whole.get("content"), whole.get("structuredContent")
    if isinstance(content, list) and [block.get("type") for block in content] == ["text"]:
        text = content[0]["text"]
        if structured in (None, {"result": text}):
            return text
        with suppress(ValueError):
            if structured in (value := json.loads(text), {"result": value}):
                return structured
    return {key: value for key, value in whole.items() if key != "isError"}
