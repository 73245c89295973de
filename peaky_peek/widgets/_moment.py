"""What a replay sends: the events in order, what is folded, and a moment: what was said, what is at work, the state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek.analysis import highlights
from peaky_peek.analysis.changes import Change
from peaky_peek.analysis.moments import saved_in
from peaky_peek.analysis.stepping import KINDS
from peaky_peek.errors import PeekError
from peaky_peek.store.columns import MISSING
from peaky_peek.widgets import _text, _wire
from peaky_peek.widgets._messages import ROLES, turn
from peaky_peek.widgets._values import follow, presentable, whole_text

if TYPE_CHECKING:
    from peaky_peek.analysis.moments import Message, Moment, Moments
    from peaky_peek.analysis.stepping import Positions

MESSAGES = 30
"""Messages that are sent of a conversation, the last ones."""

_CHARACTERS = 700
_CHANGES = 40
_SHORT = 90
_SIZES = (np.int8, np.int16, np.int32)


def events(moments: Moments) -> _wire.Message:
    """Return the events of a session in order, by the steps that they open and close: 5 to 8 bytes an event.

    `ends` are differences, each to the one before, of twice the row of a step, and one more where it closes.
    """
    rows, closes = moments.stepper.rows, moments.stepper.closes
    ends = 2 * rows + (closes[rows] == np.arange(len(rows)))
    ends = np.diff(ends, prepend=0)
    small = next(kind for kind in _SIZES if not len(ends) or np.abs(ends).max() <= np.iinfo(kind).max)
    time = moments.columns.numbers["timestamp"]
    known = time != MISSING
    began = time[known].min() if known.any() else 0
    codes, names = pd.factorize(moments.columns.texts["agent"])
    turns = np.flatnonzero(np.diff(codes, prepend=-2))
    columns = {
        "ends": ends.astype(small),
        "time": np.where(known, (time - began) / 1000, np.nan).astype(np.float32),
        "turn": turns.astype(np.int32),
        "agent": codes[turns].astype(np.int16),
    }
    return _wire.packed("events", columns=columns, texts={"agents": [_text.one_line(str(name), 60) for name in names]})


def stretches(moments: Moments, mode: str, shown: Positions | None, request: Any = None) -> _wire.Message:
    """Return the stretches that are folded: all that is not shown, or, without, what is dull."""
    if shown is None:
        found = highlights.segments(moments)
        found = found[found["dull"].astype(bool)]
        bounds = found[["start", "stop"]].to_numpy(np.int32)
        said = found["summary"].fillna("").tolist()
    else:
        hidden = np.ones(len(moments), bool)
        hidden[shown] = False
        bounds = np.flatnonzero(np.diff(hidden, prepend=False, append=False)).reshape(-1, 2)
        said = [""] * len(bounds)
    columns = {"start": bounds[:, 0].astype(np.int32), "stop": bounds[:, 1].astype(np.int32)}
    return _wire.packed("stretches", {"mode": mode}, columns, {"said": said}, request)


def facts(moments: Moments, position: int, messages: int) -> dict[str, Any]:
    """Return what a page draws of the moment right after an event; `messages` says how many, the last ones."""
    moment = moments.at(position)
    until, known = moments.said_until(position), moments.said_until(position - 1)
    first = max(0, min(until - max(messages, 1), known))
    return {
        "position": position,
        "stack": [
            {"row": step.row, "at": step.position, "name": _text.one_line(step.name or step.event_type, 60)}
            for step in moment.stack
        ],
        "numbers": [[label, said] for label, said in _numbers(moment) if said],
        "earlier": first,
        "messages": [_turn(moments.said[at], at, at >= known) for at in range(first, until)],
        "checkpoint": _checkpoint(moments, moment),
    }


def worth_keeping(moments: Moments, here: int | None, count: int) -> list[int]:
    """Return the positions that one would stop at: where one is, the last, those of each kind, and some between."""
    last = len(moments) - 1
    kinds = [moments.stepper.positions[kind] for kind in KINDS]
    spread = np.linspace(0, max(last, 0), min(len(moments), count)).astype(np.int64)
    wanted = np.concatenate([[last if here is None else here, last], *kinds, spread]).astype(int).tolist()
    return list(dict.fromkeys(wanted))[:count] if len(moments) else []


def part(moments: Moments, position: int, path: Sequence[int | str]) -> str:
    """Return all of a text that was cut.

    Raises:
        PeekError: if nothing lies at the path.
    """
    match list(path):
        case ["messages", int(at), *rest] if 0 <= at < len(moments.said):
            return whole_text(follow(_as_dict(moments.said[at]), rest))
        case ["saved", *rest] if (saved := moments.at(position).checkpoint) is not None:
            return whole_text(follow(saved_in(saved), rest))
    raise PeekError("There is nothing more to show here: refresh the view.")


def _numbers(moment: Moment) -> list[tuple[str, str]]:
    cost, tokens = _text.cost(moment.cost_usd), moment.tokens
    at_least = "at least " if cost and moment.unpriced else ""
    sides = (("in", tokens.input), ("out", tokens.output))
    counted = " → ".join(f"{count:,} {side}" for side, count in sides if count is not None)
    calls = f"{moment.unpriced:,} model call{'s' * (moment.unpriced != 1)}" if moment.unpriced else ""
    return [
        ("Cost", f"{at_least}{cost}"),
        ("No price", calls),
        ("Tokens", f"{'at least ' if counted and tokens.uncounted else ''}{counted}"),
    ]


def _turn(message: Message, at: int, is_new: bool) -> dict[str, Any]:
    shown = turn(_as_dict(message), ["messages", at])
    if message.role and message.role not in ROLES:  # the speaker of a turn
        shown["role"] = _text.one_line(message.role, 60)
    elif message.agent and shown["role"] == "assistant":
        shown["name"] = _text.one_line(message.agent, 60)
    text = shown["text"]
    if len(text) > _CHARACTERS:
        rest = {"length": len(text), "path": ["messages", at, "content"]}
        shown = rest | shown | {"text": text[:_CHARACTERS]}
    return {**shown, "new": True} if is_new else shown


def _as_dict(message: Message) -> dict[str, Any]:
    """Return a message as the model was sent it."""
    known = {"tool_calls": message.tool_calls, "tool_call_id": message.tool_call_id}
    said = {"role": message.role, "content": message.content}
    return said | {name: value for name, value in known.items() if value}


def _checkpoint(moments: Moments, moment: Moment) -> dict[str, Any] | None:
    saved = moment.checkpoint
    if saved is None:
        return None
    changed, held = moment.changes, saved_in(saved)
    shown = presentable(saved.state, ["saved", "state"]) if held.keys() == {"state"} else presentable(held, ["saved"])
    return {
        "label": _text.one_line(saved.label or saved.name, 80),
        "at": moments.position_of(saved.id),
        "changes": [_change(one) for one in changed[:_CHANGES]],
        "more": max(0, len(changed) - _CHANGES),
        "saved": shown,
    }


def _change(change: Change) -> dict[str, str]:
    before, after = (_text.one_line(whole_text(one), _SHORT) for one in (change.before, change.after))
    known = {"added": {"after": after}, "removed": {"before": before}}
    return {
        "path": _text.one_line(change.path, _SHORT),
        "kind": change.kind,
        **known.get(change.kind, {"before": before, "after": after}),
    }
