"""Tree, replay and failure card of a session in one view, which moves as one."""

from __future__ import annotations

from typing import Any

from peaky_peek.widgets import _export, _wire
from peaky_peek.widgets._base import STATIC
from peaky_peek.widgets.replay import Replay
from peaky_peek.widgets.tree import DecisionTree
from peaky_peek.widgets.why import Why

PANES = ("tree", "why", "replay")
"""The widgets that stand side by side; each brings its own script."""


class Debugger(DecisionTree, Replay, Why, bundle="debugger"):
    """A widget that shows a session from all sides at once: where it went wrong, why, and how it came to that.

    It has what `DecisionTree`, `Replay` and `Why` have. It fills the cell, and with `f` the window.

    It takes the arguments of `debugger`.
    """

    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        match request:
            case {"type": "script", "name": str(name)} if name in PANES:
                return [_script(name, request)]
        return super()._answer(request)

    def _page(self) -> _export.Page:
        page = super()._page()
        scripts = [_script(name, {"type": "script", "name": name}) for name in PANES]
        return _export.Page(page.title, page.state, page.drawn, page.recording, [*page.prepared, *scripts])


def _script(name: str, request: dict[str, Any]) -> _wire.Message:
    return _wire.packed("script", {"script": (STATIC / f"{name}.js").read_text()}, request=request)


def debugger(
    session: Any = None, *, filter: Any = "", height: int = 840, expanded: bool = True, linked: bool = True  # noqa: A002
) -> Debugger:  # fmt: skip
    """Return the debugger of a session; as the last expression of a cell it is drawn.

    Args:
        session: a session reference; None for the newest. An empty store is shown as such.
        filter: a query, a boolean mask or a function, as in `DecisionTree.filter`.
        height: of all of it, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on this session.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter cannot be read.
    """
    return Debugger(session, filter=filter, height=height, expanded=expanded, linked=linked)
