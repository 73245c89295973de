"""The front door of notebooks: what `%load_ext peaky_peek` switches on and `%unload_ext peaky_peek` undoes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peaky_peek.capture import context, control, transport
from peaky_peek.magics.cells import Cells
from peaky_peek.magics.completion import complete
from peaky_peek.magics.peek import PeekMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_cells: Cells | None = None


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%peek` and `%%peek`, and record from now on each cell that makes a model or tool call."""
    global _cells
    unload_ipython_extension(shell)
    _cells = Cells(shell)
    _cells.install()
    shell.register_magics(PeekMagics)
    shell.Completer.custom_matchers.append(complete)
    context.stopped = False
    transport.install()


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Undo every patch, end what is open and stop recording."""
    global _cells
    if _cells is None:
        return
    shell.Completer.custom_matchers.remove(complete)
    shell.magics_manager.registry.pop(PeekMagics.__name__)
    for magics in shell.magics_manager.magics.values():
        magics.pop("peek")
    _cells.uninstall()
    _cells = None
    context.paused = False
    control.uninstall()
