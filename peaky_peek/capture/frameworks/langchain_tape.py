"""Lets LangChain's tools give back their recorded results while a tape is played."""

from __future__ import annotations

import copy
import functools
from typing import Any

from peaky_peek.capture import context
from peaky_peek.capture.patching import Method, Patch, Patches


def _playing(run: Method) -> Method:
    def playing(self: Any, *args: Any, **kwargs: Any) -> Any:
        return run(self if context.tape is None else _on_tape(self), *args, **kwargs)

    return playing


patches = Patches(Patch("langchain_core.tools.base", "BaseTool", ("run", "arun"), _playing))
"""`BaseTool.run` and `arun`, through which all tools are run, those too that were made before."""


def _on_tape(tool: Any) -> Any:
    """Return a tool of which all is the same but what it does: its callbacks tell of it as ever."""
    played = copy.copy(tool)

    @functools.wraps(tool._run)
    def run(*args: Any, **kwargs: Any) -> Any:
        served = _served()
        if served is None:
            return tool._run(*args, **kwargs)
        _handle(played, served)
        return _result(played, served, served())

    @functools.wraps(tool._arun)
    async def arun(*args: Any, **kwargs: Any) -> Any:
        served = _served()
        if served is None:
            return await tool._arun(*args, **kwargs)
        _handle(played, served)
        return _result(played, served, await served.in_time())

    played.__dict__ |= {"_run": run, "_arun": arun}
    return played


def _served() -> Any:
    """Return what the tape has of the tool that has just begun; a `Command` is made again, not played."""
    scope = context.here()
    served = None if scope is None or scope.tool is None else scope.tool.served
    return None if served is not None and "command" in served.data else served


def _handle(played: Any, served: Any) -> None:
    """Let an error that LangChain made a result of be handled as it was."""
    if "told" in served.data:
        from langchain_core.tools import ToolException

        served.begin()
        played.__dict__["handle_tool_error"] = lambda _: served.data["told"]
        raise ToolException(served.error)


def _result(played: Any, served: Any, result: Any) -> Any:
    return (result, served.data.get("artifact")) if played.response_format == "content_and_artifact" else result
