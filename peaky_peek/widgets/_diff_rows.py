"""Two sessions as rows that a view can draw: one a step that both have, or one of them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek import steps as stepping
from peaky_peek.analysis.changes import Change, changes
from peaky_peek.analysis.comparison import comparison
from peaky_peek.analysis.differences import SETS_OUT, told_apart
from peaky_peek.analysis.divergence import Divergence, choice, first_divergence
from peaky_peek.errors import StoreLocked
from peaky_peek.store import dtypes, reader, sessions
from peaky_peek.widgets import _compared, _outline, _previews, _text, _wire
from peaky_peek.widgets._recording import Recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peaky_peek.events import Event
    from peaky_peek.store.database import Database

_OPS = ("=", "~", "+", "-", "move")
_SIGNS = {"=": "", "~": "~ ", "+": "+ ", "-": "- ", "move": "⇄ "}
_WORDS = {"=": "the same in both", "~": "changed", "+": "only in b", "-": "only in a", "move": "moved"}
_SETUP = ("code", "prompt", "policy_parameters", "template_id", "model", "settings", "tools", "input")
"""What a run was given that is shown before its steps, the code and the prompts first."""
_MOST, _LOOKED_AT = 12, 200


class DiffRows(Recording):
    """Two sessions, aligned. `session` is b, the one that is compared with a; both are None in an empty store.

    Raises:
        SessionNotFound: if a reference names no session.
    """

    def __init__(self, db: Database, a: Any = None, b: Any = None) -> None:
        self.db = db
        with contextlib.suppress(StoreLocked):
            db.ingest(wait=0.2)
        known = sessions.resolve_many(None, db)
        ids = [sessions.resolve(ref, db) for ref in (a, b)] if known or not (a is b is None) else ["", ""]
        self.sessions = [reader.read_session(db, one) for one in ids if one]
        self.session = self.sessions[1] if self.sessions else None
        self.found = told_apart(db, *ids)
        self.frame = self.found.frame()
        self.steps = self._merged()
        of_both = (self.frame["a_id"], self.frame["b_id"], self._closers(0), self._closers(1))
        self._row_of = {known: row for ids in of_both for row, known in enumerate(ids) if isinstance(known, str)}

    @functools.cached_property
    def divergence(self) -> Divergence | None:
        """Where the two part."""
        return first_divergence(self.db, self.found)

    @functools.cached_property
    def summary(self) -> pd.DataFrame:
        """The two in numbers."""
        if not self.sessions:
            return dtypes.frame("comparison", {name: [] for name in dtypes.SCHEMA["comparison"]})
        return comparison(self.db, *([one.session_id] for one in self.sessions))

    @functools.cached_property
    def event_order(self) -> list[str]:
        """The events of b in order: time runs through one of them."""
        return stepping.event_order(self.db, self.found.b.steps)

    def title(self) -> dict[str, Any]:
        """Return the headline: the names, and how many steps are the same."""
        if not self.sessions:
            return {"name": "", "status": "empty", "facts": [], "note": sessions.NOTHING_RECORDED}
        names = [_text.one_line(one.name or one.session_id, 40) for one in self.sessions]
        if names[0] == names[1]:
            marks = [one.version or "" for one in self.sessions]
            if marks[0] == marks[1]:
                marks = [one.session_id if len(one.session_id) <= 12 else one.session_id[-4:] for one in self.sessions]
            names = [f"{name} ({_text.one_line(mark, 20)})" for name, mark in zip(names, marks, strict=True)]
        counts = self.frame["op"].value_counts()
        facts = [_text.count(int(counts["="]), "equal step")]
        words = {"~": "changed", "-": "only in a", "+": "only in b", "move": "moved"}
        facts += [f"{int(counts[op]):,} {word}" for op, word in words.items() if counts[op]]
        return {"name": f"{names[0]} → {names[1]}", "status": "", "facts": facts, "note": ""}

    def outline(self) -> list[dict[str, Any]]:
        """Return what differs as ready text, equal steps as gaps: what is saved with a notebook."""
        differs = np.flatnonzero((self.frame["op"] != "=").to_numpy()).tolist()
        rows = _outline.shown_rows(differs, (), len(self)) if len(self) > _outline.ROWS else list(range(len(self)))
        lines = _outline.outline(self.steps, rows, self.previews(rows))
        ops = iter(self.frame["op"].iloc[rows])
        for line in lines:
            if "label" in line:
                line["label"] = f"{_SIGNS[next(ops)]}{line['label']}"
        return lines

    def setup(self) -> list[dict[str, Any]]:
        """Return what the runs were given that differs before they part, code and prompts first: path and words."""
        end = len(self) if self.divergence is None else self.divergence.row + 1
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in _SETUP}
        seen: set[str] = set()
        for row in np.flatnonzero((self.frame["op"] == "~").to_numpy()[:end]).tolist():
            for change in self._given(row):
                shown = _compared.compared([change])[0]
                key = repr(shown["words"])
                name = change.path.partition(".")[0].partition("[")[0]
                if name in found and key not in seen and len(seen) < _LOOKED_AT:
                    seen.add(key)
                    found[name].append({**shown, "row": row})
        return [each for name in _SETUP for each in found[name]][:_MOST]

    def extras(self) -> _wire.Message:
        """Return what the view needs beyond the rows."""
        parting = self.divergence
        facts = {
            "a": self._named(0),
            "b": self._named(1),
            "parting": None
            if parting is None
            else {"row": parting.row, "lasting": parting.lasting, "said": str(parting)},
            "setup": self.setup(),
            "summary": numbers(self.summary),
        }
        columns = {
            "op": np.array([_OPS.index(op) for op in self.found.ops], np.uint8),
            "a": np.array([0 if i is None else i + 1 for i, _ in self.found.places], np.uint32),
            "b": np.array([0 if j is None else j + 1 for _, j in self.found.places], np.uint32),
            "depth": np.minimum(self.steps["depth"].to_numpy(), 255).astype(np.uint8),
            "diverges": np.array(self.found.diverges, np.uint8),
        }
        texts = {"note": [_text.one_line(note or "") for note in self.found.notes]}
        return _wire.packed("diff", facts, columns, texts)

    def event_ids(self, rows: Sequence[int]) -> list[list[str]]:
        """Return the ids of the events of each row: those of a, then those of b."""
        return [[*self._ids(0, row), *self._ids(1, row)] for row in rows]

    def openers(self, rows: Sequence[int]) -> list[str]:
        """Return the ids that open the steps of each row, on either side."""
        return [ids[0] for row in rows for ids in (self._ids(0, row), self._ids(1, row)) if ids]

    def previews(self, rows: Sequence[int]) -> list[str]:
        """Return what changed in each row; of the others what the step tells."""
        told = []
        for row, (_, events) in zip(rows, self.read(rows), strict=True):
            split = len(self._ids(0, row))
            told.append(self._changed(row) or _previews.preview(events[split:] or events))
        return told

    def detailed(self, row: int, step: dict[str, Any], events: Sequence[Event]) -> dict[str, Any]:
        """Return the `details` message of a row: what changed word by word, then all of either side."""
        split = len(self._ids(0, row))
        sides = [events[:split], events[split:]]
        of_side = super().detailed
        told = [of_side(row, step, side) if side else {} for side in sides]
        shown = told[1] or told[0]
        changed = _compared.compared(self.found.changes(row))
        sections: list[dict[str, Any]] = []
        if changed:
            sections.append({"title": "What changed", "kind": "compare", "changes": changed})
        is_pair = all(told)
        for name, side, first in zip("ab", told, (0, split), strict=True):
            for section in side.get("sections", ()):
                title = f"{name}: {section['title']}" if is_pair else section["title"]
                opened = section.get("open", True) and (not is_pair or (name == "b" and not changed))
                sections.append({**_moved(section, first), "title": title, "open": opened})
        facts = [
            [f"In {name}", f"step {at + 1:,}"]
            for name, at in zip("ab", self.found.places[row], strict=True)
            if at is not None
        ]
        note = self.found.notes[row]
        facts += [["Note", _text.visible(note)]] if note else []
        subtitle = f"{_WORDS[self.found.ops[row]]} · {shown['subtitle']}"
        return {**shown, "subtitle": subtitle, "facts": facts + shown["facts"], "sections": sections}

    def matching(self, query: str) -> Any:
        """Return the rows of which either side matches a query."""
        masks = [stepping.matching(self.db, run.steps, query) for run in (self.found.a, self.found.b)]
        found = [np.append(mask, False)[self._at(side)] for side, mask in enumerate(masks)]
        return found[0] | found[1]

    def _at(self, side: int) -> NDArray[np.int64]:
        """Return the step of one side in each row, -1 where it has none."""
        return np.array([-1 if place[side] is None else place[side] for place in self.found.places], np.int64)

    def _given(self, row: int) -> list[Change]:
        """Return what a step was given and is different, of a conversation the prompts in it."""
        i, j = self.found.places[row]
        if i is None or j is None or self.found.a.kind(i) not in (*SETS_OUT, "llm_request"):
            return []
        return changes(*(_prompts(run.contents[at].given) for run, at in ((self.found.a, i), (self.found.b, j))))

    def _changed(self, row: int) -> str:
        i, j = self.found.places[row]
        if i is None or j is None or self.found.ops[row] == "=":
            return ""
        chosen = [choice(run, at) for run, at in ((self.found.a, i), (self.found.b, j))]
        if self.found.a.kind(i) == "llm_request" and chosen[0] != chosen[1]:
            return _text.one_line(" → ".join(one.removeprefix("to answer ") for one in chosen))
        change = next(self.found.inputs(row), None) or next(self.found.changes(row), None)
        more = len((self.found.changed[row] or "").split(", ")) - 1
        return "" if change is None else _compared.brief(change) + (f" (+{more})" if more > 0 else "")

    def _ids(self, side: int, row: int) -> list[str]:
        at = self.found.places[row][side]
        if at is None:
            return []
        pair = (self.found.a, self.found.b)[side].steps[["event_id", "close_id"]].iloc[at]
        return [known for known in pair if isinstance(known, str)]

    def _closers(self, side: int) -> list[Any]:
        closers = [*(self.found.a, self.found.b)[side].steps["close_id"].tolist(), None]
        return [closers[at] for at in self._at(side).tolist()]

    def _named(self, side: int) -> str:
        return _text.one_line(self.sessions[side].name or self.sessions[side].session_id, 60) if self.sessions else ""

    def _merged(self) -> pd.DataFrame:
        """Return the rows in the columns that `peaky_peek.steps` has: b's, where it has the step."""
        a, b = self.found.a.steps, self.found.b.steps
        rows = [j if j is not None else len(b) + (i or 0) for i, j in self.found.places]
        both = pd.concat([b, a], ignore_index=True) if len(a) and len(b) else (b if len(b) else a)
        merged = both.iloc[rows].reset_index(drop=True)
        merged["parent"] = np.full(len(merged), -1, np.int32)
        merged.attrs["session_ids"] = [*a.attrs["session_ids"], *b.attrs["session_ids"]]
        return merged


def _prompts(given: dict[str, Any]) -> dict[str, Any]:
    """Return what a step was given, of its messages only those that instruct."""
    messages = [each for each in given.get("messages", ()) if isinstance(each, dict)]
    told = [each.get("content") for each in messages if each.get("role") in ("system", "developer")]
    rest = {name: value for name, value in given.items() if name != "messages"}
    return {"prompt": told[0] if len(told) == 1 else told, **rest} if told else rest


def _moved(section: Any, first: int) -> Any:
    """Return a section whose paths begin at the events of its side."""
    if isinstance(section, dict):
        moved = {name: _moved(value, first) for name, value in section.items()}
        path = section.get("path")
        if isinstance(path, list) and path and isinstance(path[0], int):
            moved["path"] = [path[0] + first, *path[1:]]
        return moved
    return [_moved(each, first) for each in section] if isinstance(section, list) else section


def numbers(summary: pd.DataFrame) -> list[list[str]]:
    """Return the summary as ready text: what, a, b, and how far apart; without what neither has or tells."""
    rows = []
    for name, a, b, delta, _ in summary.itertuples(index=False):
        sides = [None if pd.isna(value) else float(value) for value in (a, b, delta)]
        if any(side for side in sides[:2]):
            rows.append([name, *(_number(name, side) for side in sides[:2]), _signed(name, sides[2])])
    return rows


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "?"
    if name == "cost":
        return _text.cost(value)
    if name in ("duration", "latency"):
        return _text.duration(value * 1000)
    if name in ("grounded decisions", "stance shift"):
        return f"{value:.0%}" if name == "grounded decisions" else f"{value:.2f}"
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}"


def _signed(name: str, value: float | None) -> str:
    if value is None or not value:
        return "" if value is None else "="
    return f"{'+' if value > 0 else '-'}{_number(name, abs(value))}"
