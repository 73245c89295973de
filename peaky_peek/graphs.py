"""A session as a graph: nodes are events, edges say how they belong together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import networkx as nx

from peaky_peek import causality, frames, store
from peaky_peek.errors import PeekError
from peaky_peek.handoffs import handoffs

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("tree", "causal", "agents")


def graph(session: Any = None, kind: str = "tree") -> nx.DiGraph[str]:
    """Return the events of a session (or of several) as a directed graph.

    Nodes are event ids with the columns of `pp.events` as attributes: Python values, None where unknown. Edges have
    `kind`, `weight` (0 to 1, how sure it is) and `evidence` (what says so).

    Nodes of kind "agents" are names of agents, with `events`, `failed`, `cost_usd`, `first_seen` and `last_seen`; its
    edges have `times` besides, and as evidence the ids of the events where the one took up what the other handed over.

    Args:
        session: a reference to one or several sessions, or `ALL`; None for the newest.
        kind: "tree" leads from each event to those that happened inside it, "causal" to those that it led to:
            `peaky_peek.causality.KINDS` tells what counts. Of two events that several things connect, the edge has the
            kind and weight of the surest, and the evidence of all. "agents" leads from each agent to those that it
            handed over to.

    Raises:
        SessionNotFound: naming the closest.
        PeekError: for a kind that does not exist.
    """
    if kind not in KINDS:
        raise PeekError(f"There is no graph of kind {kind!r}: choose from {', '.join(KINDS)}.")
    if kind == "agents":
        return _agents(session)
    events = frames.events(session)
    attributes = {name: _python_values(events[name]) for name in events}
    found = nx.DiGraph()
    found.add_nodes_from(attributes["event_id"])
    for (_, node), values in zip(found.nodes(data=True), zip(*attributes.values(), strict=True), strict=True):
        node.update(zip(attributes, values, strict=True))
    if kind == "causal":
        _add_causes(found, dict.fromkeys(attributes["session_id"]))
        return found
    inside = zip(attributes["parent_id"], attributes["event_id"], strict=True)
    known = ((parent, event) for parent, event in inside if parent in found)
    found.add_edges_from(known, kind="parent", weight=1.0, evidence="parent_id")
    return found


def _add_causes(found: nx.DiGraph[str], session_ids: Iterable[str]) -> None:
    """Add the edges that lead from causes to effects, the surest first."""
    surest = {kind: rank for rank, kind in enumerate(causality.KINDS)}
    for session_id in session_ids:
        rows = causality.edges(store.current(), session_id)
        rows = rows.sort_values("kind", key=lambda kinds: kinds.map(surest), kind="stable")
        for source, target, *edge in zip(*(rows[name].tolist() for name in rows), strict=True):
            if source not in found or target not in found:
                continue
            if not found.has_edge(source, target):
                found.add_edge(source, target, **dict(zip(("kind", "weight", "evidence"), edge, strict=True)))
            elif edge[2] not in found.edges[source, target]["evidence"]:
                found.edges[source, target]["evidence"] += f"; {edge[2]}"


def _agents(session: Any) -> nx.DiGraph[str]:
    agents: nx.DiGraph[str] = nx.DiGraph()
    by_agent = frames.events(session).groupby("agent", sort=False)
    facts = by_agent.agg(
        events=("event_id", "size"),
        failed=("failed", "sum"),
        cost_usd=("cost_usd", lambda costs: costs.sum(min_count=1)),
        first_seen=("timestamp", "min"),
        last_seen=("timestamp", "max"),
    ).reset_index()
    values = {str(name): _python_values(facts[name]) for name in facts}
    names = values.pop("agent")
    for name, *known in zip(names, *values.values(), strict=True):
        agents.add_node(name, **dict(zip(values, known, strict=True)))
    rows = handoffs(session)
    for kind, source, target, weight, event in zip(
        *(rows[name] for name in ("kind", "from_agent", "to_agent", "weight", "event_id")), strict=True
    ):
        if not agents.has_edge(source, target):
            agents.add_edge(source, target, kind=kind, weight=weight, times=0, evidence=[])
        edge = agents.edges[source, target]
        if weight > edge["weight"]:
            edge["kind"], edge["weight"] = kind, weight
        edge["times"] += 1
        edge["evidence"].append(event)
    return agents


def _python_values(column: pd.Series[Any]) -> list[Any]:
    """Return a column as Python values, None where unknown."""
    kind = column.dtype.kind
    if kind == "M":
        return [time and time.replace(tzinfo=dt.UTC) for time in column.to_numpy("M8[us]").tolist()]
    if kind == "m":
        return list(column.to_numpy("m8[us]").tolist())
    unknown: Any = None  # pandas takes it, its stubs do not know
    return list(column.to_numpy(object, na_value=unknown).tolist())
