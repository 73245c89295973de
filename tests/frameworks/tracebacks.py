"""Which of our frames are in a traceback that the user of a framework gets to see."""

from __future__ import annotations

import traceback
from pathlib import Path

import peaky_peek

PACKAGE = str(Path(peaky_peek.__file__).parent)


def ours(error: BaseException) -> list[str]:
    """The functions of ours that an exception, and what it came from, has passed."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:  # CrewAI's come from themselves
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    frames = [frame for each in chain for frame in traceback.extract_tb(each.__traceback__)]
    return [f"{frame.filename}:{frame.name}" for frame in frames if frame.filename.startswith(PACKAGE)]
