"""The decision tree of a session: what the agent did, inside what, and what came of it."""

from __future__ import annotations

from typing import Any

from peaky_peek.widgets._filter import Filter
from peaky_peek.widgets._session_widget import SessionWidget


class DecisionTree(SessionWidget, bundle="tree"):
    """A widget that draws one session as an outline and shows the selected step for reading.

    What is selected or filtered in the picture is a value here, and what is set here moves the picture:

        tree = pp.tree("refund_agent")
        tree.filter = "tool:refund failed"
        tree.selected_events          # what was clicked, as a DataFrame with payloads

    It takes the arguments of `tree`.
    """


def tree(
    session: Any = None, *, filter: Filter = "", height: int = 480, expanded: bool = True, linked: bool = True  # noqa: A002
) -> DecisionTree:  # fmt: skip
    """Return the decision tree of a session; as the last expression of a cell it is drawn.

    Args:
        session: a session reference; None for the newest. An empty store is shown as such.
        filter: a query, a boolean mask or a function, as in `DecisionTree.filter`.
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on this session.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter cannot be read.
    """
    return DecisionTree(session, filter=filter, height=height, expanded=expanded, linked=linked)
