"""Lets nbval see what a front end shows in the end: it does not know the message that changes what is displayed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

Reader = Callable[..., dict[str, Any]]


def pytest_collection(session: pytest.Session) -> None:
    """Teach the reader of kernel messages to update, if nbval runs."""
    if session.config.pluginmanager.hasplugin("nbval"):
        from nbval.kernel import RunningKernel

        RunningKernel.get_message = settled(RunningKernel.get_message)


def settled(read: Reader) -> Reader:
    """Read the outputs of a cell at once, and put each update in the place of what it updates."""
    waiting: deque[dict[str, Any]] = deque()

    def get_message(self: Any, stream: str, timeout: float | None = None) -> dict[str, Any]:
        if stream != "iopub":
            return read(self, stream, timeout)
        while not waiting or waiting[-1]["content"].get("execution_state") != "idle":
            message = read(self, stream, timeout)
            if message["msg_type"] == "update_display_data":
                _find(waiting, message)["content"]["data"] = message["content"]["data"]
            else:
                waiting.append(message)
        return waiting.popleft()

    return get_message


def _find(waiting: deque[dict[str, Any]], update: dict[str, Any]) -> dict[str, Any]:
    transient = update["content"]["transient"]
    return next(message for message in waiting if message["content"].get("transient") == transient)
