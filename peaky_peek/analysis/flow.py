"""What several runs do, as one flow: the steps that they have in common, where they branch, and which branch fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import networkx as nx

from peaky_peek.analysis import contents
from peaky_peek.analysis.alignment import common
from peaky_peek.analysis.contents import Run
from peaky_peek.store import dtypes, reader

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database
    from peaky_peek.store.reader import Session

START, END = "start", "end"
_LEFT_OUT = {"agent_start", "agent_end", "prompt_policy", "checkpoint", "drift"}

Place = tuple[str, str]
Passed = tuple[Place, str]
"""A place, and the event that opens the step there."""


@dataclass(eq=False)
class Node:
    """A step of the flow: its kind and name, and which sessions pass it."""

    place: Place
    sessions: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    """What opens the step, in each of them."""


class Flow:
    """The consensus of several runs, two sets of them apart.

    Runs are taken in one by one, the longest first: a run goes along the nodes that it has in common with the flow so
    far, in order, and brings its own ones where it leaves them. `nodes` are in the order of the flow.

    Args:
        db: the store that they are in.
        a: ids of the sessions of one set.
        b: those of the other.
    """

    def __init__(self, db: Database, a: Sequence[str], b: Sequence[str] = ()) -> None:
        self.a, self.b = list(dict.fromkeys(a)), list(dict.fromkeys(b))
        ids = list(dict.fromkeys([*self.a, *self.b]))
        self._failed = {one.session_id: is_failed(one) for one in reader.read_sessions(db, ids)}
        ways = {session_id: way(contents.read(db, session_id)) for session_id in ids}
        self.nodes: list[Node] = []
        self._edges: dict[tuple[Node | None, Node | None], list[str]] = defaultdict(list)
        for session_id in sorted(ids, key=lambda each: (-len(ways[each]), ways[each], each)):
            self._take_in(session_id, ways[session_id])
        self._names = {node: str(number) for number, node in enumerate(self.nodes, 1)}

    def _take_in(self, session_id: str, steps: Sequence[Passed]) -> None:
        places = [place for place, _ in steps]
        shared = {step: self.nodes[at] for step, at in common(places, [node.place for node in self.nodes])}
        at = 0
        before: Node | None = None
        for step, (place, event_id) in enumerate(steps):
            node = shared.get(step)
            if node is None:
                node = Node(place)
                self.nodes.insert(at, node)
            at = self.nodes.index(node, at) + 1
            node.sessions.append(session_id)
            node.events.append(event_id)
            self._edges[before, node].append(session_id)
            before = node
        self._edges[before, None].append(session_id)

    def frame(self) -> pd.DataFrame:
        """Return the branches.

        Returns:
            One row per way from one step to the next, in the order of the flow: source and target (ids of nodes,
            `start` and `end`), source_name, target_name, runs, a and b (how many pass, in all and of either set),
            share, share_a, share_b (of the runs that come to the source), failed (of those whose end is known),
            failure_rate (NA where none is), session_ids.
        """
        rows = [self._branch(*edge) for edge in self._ordered()]
        return dtypes.frame("flow", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["flow"]})

    def _ordered(self) -> list[tuple[Node | None, Node | None, list[str]]]:
        order = {node: number for number, node in enumerate(self.nodes)}
        edges = [(source, target, passing) for (source, target), passing in self._edges.items()]
        last = len(order)
        return sorted(edges, key=lambda edge: (-1 if edge[0] is None else order[edge[0]],
                                               last if edge[1] is None else order[edge[1]]))  # fmt: skip

    def graph(self) -> nx.DiGraph:
        """Return the flow as a graph: nodes with name, kind, runs, a, b, failure_rate; edges like rows of the frame."""
        graph = nx.DiGraph()
        for name in (START, END):
            graph.add_node(name, name=name, kind=name, **self.passed([*self.a, *self.b]))
        for node, name in self._names.items():
            graph.add_node(name, name=node.place[1], kind=node.place[0], **self.passed(node.sessions))
        for source, target, passing in self._ordered():
            row = self._branch(source, target, passing)
            graph.add_edge(row.pop("source"), row.pop("target"), **row)
        return graph

    def passed(self, sessions: Sequence[str]) -> dict[str, Any]:
        """Return how many of some sessions there are, in all and of either set, and how many of them failed."""
        ended = [self._failed[each] for each in dict.fromkeys(sessions) if self._failed.get(each) is not None]
        counts = {name: len(set(sessions) & set(of)) for name, of in (("a", self.a), ("b", self.b))}
        rate = sum(map(bool, ended)) / len(ended) if ended else None
        return {"runs": len(set(sessions)), **counts, "failed": sum(map(bool, ended)), "failure_rate": rate}

    def _branch(self, source: Node | None, target: Node | None, passing: list[str]) -> dict[str, Any]:
        come = dict.fromkeys([*self.a, *self.b] if source is None else source.sessions)
        shares = {
            name: _share(of, [each for each in come if among is None or each in among], passing)
            for name, of, among in (
                ("share", None, None), ("share_a", set(self.a), set(self.a)), ("share_b", set(self.b), set(self.b)),
            )
        }  # fmt: skip
        return {
            "source": START if source is None else self._names[source],
            "target": END if target is None else self._names[target],
            "source_name": START if source is None else source.place[1],
            "target_name": END if target is None else target.place[1],
            **self.passed(passing),
            **shares,
            "session_ids": passing,
        }


def is_failed(session: Session) -> bool | None:
    """Tell whether a run failed: by its outcome, else by how it ended; None while it runs and for other words."""
    if session.outcome is not None:
        return {"fail": True, "pass": False}.get(session.outcome)
    return {"failed": True, "completed": False}.get(session.status)


def way(run: Run) -> list[Passed]:
    """Return what a run did, for a flow: tools called, answers given, decisions of its own, checks, failures."""
    found: list[Passed] = []
    for row in range(len(run)):
        kind, name = run.kind(row), run.name(row)
        if kind in _LEFT_OUT or (kind == "decision" and run.opener(row).metadata.get("derived") is True):
            continue
        if kind == "llm_request":
            if run.contents[row].did.get("tool_calls"):
                continue
            kind, name = "answer", "answer"
        elif kind == "tool_call" and run.failed(row):
            name = f"{name} ✕"
        elif kind == "safety_check":
            name = f"{name}: {run.contents[row].did.get('outcome', '?')}"
        found.append(((kind, name), run.opener(row).id))
    return found


def _share(among: set[str] | None, come: Sequence[str], passing: Sequence[str]) -> float | None:
    passed = {each for each in passing if among is None or each in among}
    return len(passed) / len(come) if come else None
