"""Lets tools of the OpenAI Agents SDK give back their recorded results while a tape is played."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from peaky_peek.capture import context

_NAME = "on_invoke_tool"


def install() -> None:
    """Look at what a tool does whenever it is asked for, in tools too that were made before.

    Raises:
        AttributeError: this version of the SDK is another one.
    """
    tool = import_module("agents.tool").FunctionTool
    if _NAME not in tool.__dataclass_fields__:
        raise AttributeError(f"FunctionTool has no {_NAME}")
    setattr(tool, _NAME, property(_get, _set))


def uninstall() -> None:
    """Undo `install`."""
    tool = import_module("agents.tool").FunctionTool
    if _NAME in vars(tool):
        delattr(tool, _NAME)


def _get(tool: Any) -> Any:
    invoke = tool.__dict__[_NAME]
    return invoke if context.tape is None else _playing(invoke)


@functools.lru_cache(maxsize=1000)
def _playing(invoke: Any) -> Any:
    """Return the same for the same: the SDK makes sure that a tool does not change while somebody approves it."""
    return functools.partial(_played, invoke)


def _set(tool: Any, invoke: Any) -> None:
    tool.__dict__[_NAME] = invoke


async def _played(invoke: Any, *args: Any) -> Any:
    """Return what the model was told: the result of the tool, or in words what went wrong."""
    scope = context.here()
    served = None if scope is None or scope.tool is None else scope.tool.served
    if served is None:
        return await invoke(*args)
    if served.result is None or served.error is None:
        return await served.in_time()
    served.begin()  # it failed, and the model was told so in words
    return served.result
