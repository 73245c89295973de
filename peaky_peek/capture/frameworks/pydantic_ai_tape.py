"""What a tool of PydanticAI gives back while a tape is played: values, objects of PydanticAI, exceptions."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from peaky_peek.capture import returned
from peaky_peek.errors import NotOnTape

_OWN = "pydantic_ai"


def note(result: Any) -> dict[str, Any]:
    """Return what is to be known of a result besides its fields: which of PydanticAI's objects it is, if it is one."""
    items = result if isinstance(result, list) and result else [result]
    names = {type(item).__name__ for item in items if type(item).__module__.startswith("pydantic_ai.")}
    return {_OWN: sorted(names)} if names else {}


async def answer(served: Any) -> Any:
    """Return what a tool returned, or raise what it raised."""
    from pydantic_ai import exceptions

    try:
        result = await served.in_time()
    except Exception as error:
        theirs = getattr(exceptions, type(error).__name__, None)
        if theirs is None:
            raise
        raise theirs(str(error)) from None  # what asks the model to try again has to be what it was
    names = served.data.get(_OWN)
    return result if not isinstance(names, list) else _made(served.name, result, names)


def _made(tool: str, result: Any, names: list[Any]) -> Any:
    """Return a result with the objects in it that PydanticAI treats in their own way: pictures, files, `ToolReturn`."""
    try:
        if isinstance(result, list):
            return [_one(item, names) if isinstance(item, dict) else item for item in result]
        return _one(result, names)
    except Exception as error:
        raise NotOnTape(
            f"What {tool} returned is an object of PydanticAI that this version makes in another way: run the tools"
            ' with `pp.tape(..., tools="live")`.'
        ) from error


def _one(value: Any, names: list[Any]) -> Any:
    kinds = [getattr(import_module("pydantic_ai.messages"), str(name)) for name in names]
    made = returned.shaped(value, functools.reduce(lambda one, other: one | other, kinds))
    if isinstance(made, dict):
        raise TypeError(names)
    content = getattr(made, "content", None)
    if isinstance(content, list):
        made.content = [_content(item) if isinstance(item, dict) else item for item in content]
    return made


def _content(value: dict[str, Any]) -> Any:
    from pydantic_ai import messages

    kinds = {
        kind.kind: kind for kind in (messages.ImageUrl, messages.AudioUrl, messages.DocumentUrl, messages.VideoUrl)
    }
    return returned.shaped(value, kinds.get(value.get("kind"), messages.BinaryContent))
