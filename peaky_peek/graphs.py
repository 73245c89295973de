"""A session as a graph: nodes are events, edges say how they belong together."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import networkx as nx

from peaky_peek import frames
from peaky_peek.errors import PeekError

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("tree",)


def graph(session: Any = None, kind: str = "tree") -> nx.DiGraph[str]:
    """Return the events of a session (or of several) as a directed graph.

    Nodes are event ids with the columns of `pp.events` as attributes: Python values, None where unknown. Edges have
    `kind`, `weight` (0 to 1, how sure it is) and `evidence` (what says so).

    Args:
        session: a reference to one or several sessions, or `ALL`; None for the newest.
        kind: "tree" leads from each event to those that happened inside it.

    Raises:
        SessionNotFound: naming the closest.
        PeekError: for a kind that does not exist.
    """
    if kind not in KINDS:
        raise PeekError(f"There is no graph of kind {kind!r}: choose from {', '.join(KINDS)}.")
    events = frames.events(session)
    attributes = {name: _python_values(events[name]) for name in events}
    tree = nx.DiGraph()
    tree.add_nodes_from(attributes["event_id"])
    for (_, node), values in zip(tree.nodes(data=True), zip(*attributes.values(), strict=True), strict=True):
        node.update(zip(attributes, values, strict=True))
    inside = zip(attributes["parent_id"], attributes["event_id"], strict=True)
    known = ((parent, event) for parent, event in inside if parent in tree)
    tree.add_edges_from(known, kind="parent", weight=1.0, evidence="parent_id")
    return tree


def _python_values(column: pd.Series[Any]) -> list[Any]:
    """Return a column as Python values, None where unknown."""
    kind = column.dtype.kind
    if kind == "M":
        return [time and time.replace(tzinfo=dt.UTC) for time in column.to_numpy("M8[us]").tolist()]
    if kind == "m":
        return list(column.to_numpy("m8[us]").tolist())
    unknown: Any = None  # pandas takes it, its stubs do not know
    return list(column.to_numpy(object, na_value=unknown).tolist())
