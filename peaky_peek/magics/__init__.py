"""The front door of notebooks: what `%load_ext peaky_peek` switches on and `%unload_ext peaky_peek` undoes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from peaky_peek.capture import autopatch, context, control
from peaky_peek.magics.cells import Cells
from peaky_peek.magics.completion import complete
from peaky_peek.magics.peek import PeekMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_UNDO = "_peaky_peek_undo"
"""Kept with the shell, so that a module of ours that is loaded again still knows what to undo."""


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%peek` and `%%peek`, and record from now on each cell that makes a model or tool call."""
    unload_ipython_extension(shell)
    cells = Cells(shell)
    cells.install()
    shell.register_magics(PeekMagics)
    shell.Completer.custom_matchers.append(complete)
    setattr(shell, _UNDO, functools.partial(_undo, shell, cells, complete))
    context.stopped = False
    autopatch.install()


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Undo every patch, end what is open and stop recording."""
    undo = getattr(shell, _UNDO, None)
    if undo is not None:
        undo()


def _undo(shell: InteractiveShell, cells: Cells, matcher: Any) -> None:
    delattr(shell, _UNDO)
    shell.Completer.custom_matchers.remove(matcher)
    shell.magics_manager.registry.pop(PeekMagics.__name__)
    for magics in shell.magics_manager.magics.values():
        magics.pop("peek")
    cells.uninstall()
    context.paused = 0
    control.uninstall()
