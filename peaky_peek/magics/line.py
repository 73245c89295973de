"""The one line of a `%%peek` cell: a live view of its run, folded, which is the tree when the cell has ended."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from peaky_peek.capture import faults
from peaky_peek.errors import PeekError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from peaky_peek.widgets.live import LiveView

_PAUSE = 0.3
"""Seconds between two looks at the store."""
_SHARE = 4
"""A look is followed by a pause of at least so many times its length: the machine belongs to the cell."""


class Line:
    """The line, shown above all that the cell shows itself.

    A thread makes it, so that the cell waits for nothing. Where what was shown cannot change, in a terminal or under
    `%%capture`, the line comes when the cell has ended.
    """

    def __init__(self, shell: InteractiveShell, name: str, session_id: str) -> None:
        self._name, self._session_id = name, session_id
        self._publisher: Any = shell.display_pub  # of now: `%%capture` in the cell puts another one in its place
        self._formatter: Any = shell.display_formatter
        self._display_id = os.urandom(16).hex()
        self._view: LiveView | None = None
        self._is_live = hasattr(self._publisher, "register_hook")
        self._is_cleared = False
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="peaky-peek-line", daemon=True)
        if self._is_live:
            self._begin()

    def end(self, *, expanded: bool) -> None:
        """Show how the cell ended.

        Raises:
            PeekError: when the session cannot be shown.
        """
        if self._is_live:
            self._is_over.set()
            self._thread.join()
            self._publisher.unregister_hook(self._notice_clearing)
        view = self._view or self._make_view()
        view.follow()
        if view.is_following:  # the store was locked, or something came out of order
            view.refresh()
        view.expanded = view.expanded or expanded
        is_in_place = self._is_live and not self._is_cleared
        self._show(view, update=is_in_place)  # the page knows by now, but not what is saved with the notebook

    def _begin(self) -> None:
        self._publish({"text/plain": f"{self._name}: running"}, {}, update=False)
        self._publisher.register_hook(self._notice_clearing)
        self._thread.start()

    def _show(self, view: LiveView, *, update: bool) -> None:
        self._publish(*self._formatter.format(view), update=update)

    def _publish(self, data: dict[str, Any], metadata: dict[str, Any], *, update: bool) -> None:
        self._publisher.publish(data, metadata, transient={"display_id": self._display_id}, update=update)

    @faults.guarded
    def _follow(self) -> None:
        with contextlib.suppress(PeekError):  # such as a store that is locked: it may be free when the cell ends
            self._view = self._make_view()
            self._show(self._view, update=True)
            pause = _PAUSE
            while not self._is_over.wait(pause):
                started = time.monotonic()
                self._view.follow()
                pause = max(_PAUSE, _SHARE * (time.monotonic() - started))

    def _make_view(self) -> LiveView:
        from peaky_peek.widgets.live import LiveView

        return LiveView(self._session_id, expanded=False)

    def _notice_clearing(self, message: dict[str, Any]) -> dict[str, Any]:
        """See every message of the cell's output: one that clears it takes the line away too."""
        self._is_cleared = self._is_cleared or message["header"]["msg_type"] == "clear_output"
        return message
