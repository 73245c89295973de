"""The one line of a `%%peek` cell: its decision tree, closed, which lives while the cell runs."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from IPython.display import DisplayHandle

from peaky_peek.capture import faults
from peaky_peek.errors import PeekError
from peaky_peek.widgets.tree import DecisionTree

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_PAUSE = 0.3
"""Seconds between two looks at the store."""
_SHARE = 4
"""A look is followed by a pause of at least so many times its length: the machine belongs to the cell."""


class Line:
    """The line, shown above all that the cell shows itself.

    A terminal cannot change what it has shown: there it comes once, when the cell has ended.
    """

    def __init__(self, shell: InteractiveShell, session_id: str) -> None:
        self._session_id = session_id
        self._publisher: Any = shell.display_pub
        self._handle: Any = DisplayHandle()  # type: ignore[no-untyped-call]
        self._tree: DecisionTree | None = None
        self._is_cleared = False
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="peaky-peek-line", daemon=True)
        if hasattr(shell, "kernel"):
            with contextlib.suppress(PeekError):  # a store that is locked now may be free when the cell ends
                self._begin()

    def _begin(self) -> None:
        self._tree = DecisionTree(self._session_id, open=False)
        self._handle.display(self._tree)
        self._publisher.register_hook(self._notice_clearing)
        self._thread.start()

    def end(self, *, is_open: bool) -> None:
        """Show how the cell ended.

        Raises:
            PeekError: when the session cannot be shown.
        """
        if self._tree is None:
            self._handle.display(DecisionTree(self._session_id, open=is_open))
            return
        self._is_over.set()
        self._thread.join()
        self._publisher.unregister_hook(self._notice_clearing)
        self._tree.refresh()
        self._tree.open = self._tree.open or is_open
        show_again = self._handle.display if self._is_cleared else self._handle.update
        show_again(self._tree)  # the live line knows already, what is saved with the notebook does not

    @faults.guarded
    def _follow(self) -> None:
        pause = _PAUSE
        while not self._is_over.wait(pause) and self._tree is not None:
            started = time.monotonic()
            with contextlib.suppress(PeekError):
                self._tree.refresh()
            pause = max(_PAUSE, _SHARE * (time.monotonic() - started))

    def _notice_clearing(self, message: dict[str, Any]) -> dict[str, Any]:
        """See every message of the cell's output: one that clears it takes the line away too."""
        self._is_cleared = self._is_cleared or message["header"]["msg_type"] == "clear_output"
        return message
