"""Whether frames of ours are in the tracebacks that the users of a framework get to see."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import peaky_peek

PACKAGE = str(Path(peaky_peek.__file__).parent)


def frames(error: BaseException) -> list[str]:
    """The functions of ours that an exception and what it came from have passed."""
    return [
        f"{frame.filename.removeprefix(PACKAGE)}:{frame.name}"
        for each in _chain(error)
        for frame in traceback.extract_tb(each.__traceback__)
        if frame.filename.startswith(PACKAGE)
    ]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
