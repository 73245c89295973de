"""Where the way of an agent forks: its decisions, the step that each chose, and what it could have done instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from peaky_peek.encoding import as_text
from peaky_peek.events import Decision
from peaky_peek.store import reader
from peaky_peek.widgets import _wire
from peaky_peek.widgets._text import one_line

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from peaky_peek.widgets._recording import Recording

_MOST, _LONGEST = 6, 40


def forks(recording: Recording) -> _wire.Message:
    """Return the `forks` message: the row of each decision, what it chose, what it was read from, its alternatives.

    What it chose is so many rows after it, and the answer it was read from so many before it, 0 for none. Alternatives
    are sent once each, as lines, at most six of them; `count` says how many there were.
    """
    decisions = {event.id: event for event in _decisions(recording)}
    rows, chosen, asked, counts, codes = [], [], [], [], []
    lists: dict[str, int] = {}
    became, answers = _became(recording, decisions)
    event_ids = recording.steps["event_id"].tolist()
    for row in np.flatnonzero((recording.steps["event_type"] == "decision").to_numpy()).tolist():
        decision = decisions.get(event_ids[row])
        if decision is None:
            continue
        others = _alternatives(decision)
        text = "\n".join(others[:_MOST])
        rows.append(row)
        chosen.append(_near(became.get(row, row) - row))
        asked.append(_near(row - answers.get(row, row)))
        counts.append(min(len(others), 0xFF))
        codes.append(lists.setdefault(text, len(lists)))
    columns: dict[str, ArrayLike] = {
        "row": np.array(rows, np.int32),
        "chosen": np.array(chosen, np.uint16),
        "asked": np.array(asked, np.uint16),
        "count": np.array(counts, np.uint8),
        "list": np.array(codes, np.uint16 if len(lists) <= 0x10000 else np.uint32),
    }
    return _wire.packed("forks", columns=columns, texts={"lists": lists})


def _near(distance: int) -> int:
    """Return a distance in rows as it is sent; what is further away counts as none."""
    return distance if distance <= 0xFFFF else 0


def _decisions(recording: Recording) -> Iterator[Decision]:
    for session_id in recording.steps.attrs.get("session_ids", ()):
        for event in reader.read_events(recording.db, session_id, ["decision"]):
            if isinstance(event, Decision):
                yield event


def _became(recording: Recording, decisions: dict[str, Decision]) -> tuple[dict[int, int], dict[int, int]]:
    """Return the row of the step that each decision chose, and of the answer of a model that it was read from.

    What it chose is the next call of that tool, or agent of that name, in the same span.
    """
    steps = recording.steps
    agents = steps["agent"].astype(object).where(steps["agent"].notna(), None).tolist()
    columns = (steps[name].astype(object).tolist() for name in ("event_id", "event_type", "name", "parent"))
    answers: dict[str | None, int] = {}
    waiting: dict[tuple[str | None, Any], int] = {}
    became: dict[int, int] = {}
    asked: dict[int, int] = {}
    for row, (event_id, kind, name, parent) in enumerate(zip(*columns, strict=True)):
        if kind == "llm_request":
            answers[agents[row]] = row
        elif kind == "decision" and event_id in decisions:
            decision, answer = decisions[event_id], answers.get(agents[row], -1)
            if decision.metadata.get("derived") is True and answer > parent:
                asked[row] = answer
            if isinstance(decision.chosen_action, str):
                waiting[agents[row], decision.chosen_action] = row
        elif kind in ("tool_call", "agent_start"):
            caller = agents[row] if kind == "tool_call" or parent < 0 else agents[parent]
            chooser = waiting.pop((caller, name), -1)
            if chooser > parent:
                became[chooser] = row
    return became, asked


def _alternatives(decision: Decision) -> list[str]:
    """Return what else could have been done, as short texts: names of tools, or whatever was recorded."""
    others = decision.alternatives if isinstance(decision.alternatives, list) else []
    names = (one.get("name") or one.get("action") or one if isinstance(one, dict) else one for one in others)
    texts = (one_line(as_text(name), _LONGEST) for name in names)
    return [text for text in dict.fromkeys(texts) if text and text != decision.chosen_action]
