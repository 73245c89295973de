"""Two sessions as one table: which step is which, and what is different about it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rapidfuzz import fuzz

from peaky_peek.analysis import contents
from peaky_peek.analysis.alignment import Pair, align
from peaky_peek.analysis.changes import Change, changes
from peaky_peek.analysis.contents import Content, Run, comparable
from peaky_peek.store import dtypes
from peaky_peek.store.bulk import without_collection
from peaky_peek.store.columns import MISSING
from peaky_peek.values import texts_in, values_in

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from peaky_peek.store.database import Database

Place = tuple[int | None, int | None]

SETS_OUT = {"agent_start", "prompt_policy"}
"""Steps that take no turn: they say what was given, and what an agent ended with is what came of its other steps."""
_NAMED = 4
"""Changes of a step that are named in its row."""
_REPEATS = 16
"""Steps back in which a repeated one is looked for."""
_SAME_MEANING = 60.0
"""How alike two texts with the same values in them must be, of 100, to be the same in other words."""


def told_apart(db: Database, a: str, b: str) -> Differences:
    """Return what is different between two sessions, given their ids.

    Args:
        db: the store that both are in.
        a: one session.
        b: the other.
    """
    with without_collection():
        return Differences(contents.read(db, a), contents.read(db, b))


class Differences:
    """Two sessions as one table, aligned step by step.

    `places` are the rows: the step of either run, None where it has none. Steps count from 0 here, from 1 in `frame`.

    Args:
        a: one session.
        b: the other.
    """

    def __init__(self, a: Run, b: Run) -> None:
        self.a, self.b = a, b
        pairs = align(a, b)
        self.places = _places(pairs, len(a), len(b))
        similar: dict[Place, Pair] = {(pair.a, pair.b): pair for pair in pairs}
        self._pairs = [similar.get(place) for place in self.places]
        rows = [_row(a, b, *place, pair) for place, pair in zip(self.places, self._pairs, strict=True)]
        self.ops = [row[0] for row in rows]
        self.changed, self.notes = [row[2] for row in rows], [row[3] for row in rows]
        self.diverges = _own([row[1] for row in rows], self)

    def __len__(self) -> int:
        return len(self.places)

    def changes(self, row: int) -> Iterator[Change]:
        """Yield what is different about a step that both have; nothing for others."""
        i, j = self.places[row]
        if i is not None and j is not None:
            yield from changes(self.a.contents[i].all, self.b.contents[j].all)

    def inputs(self, row: int) -> Iterator[Change]:
        """Yield the same as far as later steps can have read it: what an agent ended with is not."""
        i, j = self.places[row]
        if i is not None and j is not None and self.a.kind(i) == "agent_start":
            yield from changes(self.a.contents[i].given, self.b.contents[j].given)
        else:
            yield from self.changes(row)

    def frame(self) -> pd.DataFrame:
        """Return the table.

        Returns:
            One row per step that both have, or one of them: op (category: `=` the same, `~` changed, `+` only in b, `-`
            only in a, `move` the same elsewhere), a_step and b_step (Int64, counted from 1), a_id and b_id (the event
            that opens the step), event_type, name, agent (b's where both have the step), similarity (Float64, 0 to 1,
            NA where only one has it), diverges (boolean: whether the run took another turn here, and did not only find
            other words or was given something else), changed (the paths that differ), note (repeated, moved, reworded).
        """
        of_a = np.array([-1 if i is None else i for i, _ in self.places], np.int64)
        of_b = np.array([-1 if j is None else j for _, j in self.places], np.int64)
        of_either = {
            name: np.where(of_b < 0, _taken(self.a.steps[name], of_a), _taken(self.b.steps[name], of_b)).tolist()
            for name in ("event_type", "name", "agent")
        }
        columns: dict[str, Any] = {
            "op": self.ops,
            "a_step": dtypes.integers(np.where(of_a < 0, MISSING, of_a + 1)),
            "b_step": dtypes.integers(np.where(of_b < 0, MISSING, of_b + 1)),
            "a_id": _taken(self.a.steps["event_id"], of_a).tolist(),
            "b_id": _taken(self.b.steps["event_id"], of_b).tolist(),
            **of_either,
            "similarity": [None if pair is None else pair.similarity for pair in self._pairs],
            "diverges": self.diverges,
            "changed": self.changed,
            "note": self.notes,
        }
        return dtypes.frame("diff", columns)


def _places(pairs: Sequence[Pair], n: int, m: int) -> list[Place]:
    """Return the rows: what is gone before what came, what moved where b has it."""
    fixed = [(pair.a, pair.b) for pair in pairs if not pair.moved]
    moved_to = {pair.b: pair.a for pair in pairs if pair.moved}
    moved_from = set(moved_to.values())
    places: list[Place] = []
    for (a0, b0), (a1, b1) in itertools.pairwise([(-1, -1), *fixed, (n, m)]):
        places += [(i, None) for i in range(a0 + 1, a1) if i not in moved_from]
        places += [(moved_to.get(j), j) for j in range(b0 + 1, b1)]
        places += [(a1, b1)] if a1 < n else []
    return places


def _row(a: Run, b: Run, i: int | None, j: int | None, pair: Pair | None) -> tuple[str, bool, str | None, str | None]:
    """Return op, whether the run took another turn, what changed, and what to say about it."""
    if i is None or j is None or pair is None:
        op, run, at = ("-", a, i) if i is not None else ("+", b, j or 0)
        return op, run.kind(at) not in SETS_OUT, None, _repeats(run, at)
    one, other = a.contents[i], b.contents[j]
    is_same = a.exact[i] == b.exact[j]
    if is_same and comparable(one.given) == comparable(other.given):
        changed = None
    else:
        paths = [change.path for change in itertools.islice(changes(one.all, other.all), _NAMED + 1)]
        changed = ", ".join(paths[:_NAMED]) + (", …" if len(paths) > _NAMED else "") or None
    if pair.moved:
        return "move", True, changed, f"was step {i + 1:,}"
    if changed is None and is_same:
        return "=", False, None, None
    if is_same:
        return "~", False, changed, "given something else, did the same"
    turned, note = _turned(a, b, i, j)
    return "~", turned, changed, note


def _turned(a: Run, b: Run, i: int, j: int) -> tuple[bool, str | None]:
    """Return whether a changed step did something else than the other, and what to say about it."""
    one, other = a.contents[i], b.contents[j]
    if a.kind(i) in SETS_OUT:
        return False, "ended differently" if comparable(one.given) == comparable(other.given) else None
    if a.failed(i) != b.failed(j):
        return True, "failed in b only" if b.failed(j) else "failed in a only"
    if comparable(one.did) != comparable(other.did):
        return True, None
    if one.did.get("tool_calls") or a.kind(i) == "decision" or _means_the_same(one, other):
        return False, "in other words"
    return True, None


def _means_the_same(one: Content, other: Content) -> bool:
    if set(values_in(one.said)) != set(values_in(other.said)):
        return False
    return fuzz.token_set_ratio(_text(one), _text(other)) >= _SAME_MEANING


def _text(one: Content) -> str:
    return " ".join(texts_in(one.said))[:2_000].casefold()


def _repeats(run: Run, row: int) -> str | None:
    """Return which step before this one it repeats."""
    before = range(row - 1, max(-1, row - 1 - _REPEATS), -1)
    found = next((each for each in before if run.exact[each] == run.exact[row]), None)
    return None if found is None else f"repeats step {found + 1:,}"


def _own(diverges: list[bool], all_rows: Differences) -> list[bool]:
    """Return who took another turn itself: a tool with another result because of a step inside it did not."""
    a, b, places = all_rows.a, all_rows.b, all_rows.places
    row_of = {i: row for row, (i, _) in enumerate(places) if i is not None}
    parents = a.steps["parent"].tolist()
    inside = [False] * len(places)
    own = list(diverges)
    for row in range(len(places) - 1, -1, -1):
        i, j = places[row]
        if i is None:
            continue
        if inside[row] and j is not None and "result" in a.contents[i].did:
            arguments = (run.contents[at].did.get("arguments") for run, at in ((a, i), (b, j)))
            own[row] &= len(set(map(comparable, arguments))) > 1
        if (diverges[row] or inside[row]) and parents[i] in row_of:
            inside[row_of[parents[i]]] = True
    return own


def _taken(column: pd.Series[Any], rows: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the values at these rows, None for -1 and where unknown."""
    values = np.array([*column.astype(object).where(column.notna(), None).tolist(), None], object)
    return values[rows]
