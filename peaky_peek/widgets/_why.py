"""The failure card as the views draw it: why a run went wrong, or that it did not, with every event by its row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from peaky_peek.analysis.causes import Diagnosis, confidence, diagnose
from peaky_peek.analysis.symptoms import in_words
from peaky_peek.errors import EventNotFound, PeekError, SessionNotFound
from peaky_peek.events import Event
from peaky_peek.widgets import _text, _wire

if TYPE_CHECKING:
    from peaky_peek.widgets._recording import Recording

SHOWN = 3
"""Causes on the card."""
_MOST = 5  # events that are listed of those that smell, or were made good
_NAME, _SAYS, _WAY = 60, 240, 12


def answer(recording: Recording, request: dict[str, Any]) -> _wire.Message:
    """Return the message that answers a request of the Why button; it may name a row."""
    return _wire.packed("why", card(recording, request.get("row")), request=request)


def card(recording: Recording, row: int | None = None) -> dict[str, Any]:
    """Return the card of a session, or of one of its steps, as JSON; `state` says which of its faces it shows.

    | state | when |
    |---|---|
    | clear | nothing failed, or all that did was made good |
    | answer | there are causes |
    | unknown | something failed and nothing tells why: `missing` is what would |
    | not found | what was asked about is no longer in the store |
    """
    if recording.session is None:
        return {"state": "not found", "says": "There is no session here to explain."}
    event_id = recording.event_ids([row])[0][-1] if row is not None and 0 <= row < len(recording) else None
    try:
        found = diagnose(recording.db, recording.session.session_id, event_id)
    except (SessionNotFound, EventNotFound) as error:
        return {"state": "not found", "says": str(error)}
    return shown(recording, found)


def shown(recording: Recording, found: Diagnosis) -> dict[str, Any]:
    """Return the card of a diagnosis."""
    if found.symptom is None:
        return _clear(recording, found)
    if not found.causes:
        says = _text.one_line(found.symptom.says, _SAYS)
        return {"state": "unknown", "symptom": _event(recording, found.symptom.event, says), "missing": found.missing}
    causes = [
        {
            "mechanism": one.mechanism,
            "confidence": confidence(one),
            "event": _event(recording, one.event),
            "because": [_event(recording, event, says) for event, says in one.because],
            "against": _text.one_line(one.against, _SAYS),
            "next": _text.one_line(one.next_step, _SAYS),
            "way": [_event(recording, event) for event in _way(recording, found, path)],
        }
        for one, path in zip(found.causes[:SHOWN], found.paths, strict=False)
    ]
    symptom = _event(recording, found.symptom.event, found.symptom.says)
    return {"state": "answer", "symptom": symptom, "causes": causes, "others": len(found.causes) - len(causes)}


def _clear(recording: Recording, found: Diagnosis) -> dict[str, Any]:
    events, session = found.trace.events, found.trace.session
    failed = [one for one in events if one.failed]
    smelling = [one for one in events if not one.failed and one.suspect]
    begin = "Still running, so far" if session.status == "running" else "All clear"
    on_the_way = (
        f"{_text.count(len(failed), 'failure')} on the way, and nothing came of {'it' if len(failed) == 1 else 'them'}"
    )
    counted = [on_the_way if failed else "no failures", _text.count(len(smelling), "suspect") if smelling else ""]
    says = f"{begin}: {'; '.join(filter(None, counted))}."
    listed = [*failed, *smelling][:_MOST]
    return {"state": "clear", "says": says, "events": [_event(recording, one, _told(one)) for one in listed]}


def _told(event: Event) -> str:
    return event.suspect or in_words(event)


def _way(recording: Recording, found: Diagnosis, path: Iterable[str]) -> list[Event]:
    """Return one event for each step on the way from a cause to the symptom."""
    of_step: dict[int, Event] = {}
    for event_id in path:
        of_step.setdefault(_row(recording, event_id), found.trace.events[found.trace.row[event_id]])
    return list(of_step.values())[:_WAY]


def _event(recording: Recording, event: Event, says: str = "") -> dict[str, Any]:
    """Return an event as it stands on the card: the row of its step, what it is called, and what it shows."""
    name = _text.one_line(event.name or event.kind, _NAME)
    return {
        "row": _row(recording, event.id),
        "family": event.family,
        "icon": _wire.ICONS[event.family],
        "type": event.kind.replace("_", " "),
        "name": name,
        "says": _text.one_line(says.removeprefix(event.name).lstrip(": "), _SAYS),
    }


def _row(recording: Recording, event_id: str) -> int:
    rows = recording.rows_of([event_id])
    if not rows:
        raise PeekError("The session has changed since it was drawn: refresh the view.")
    return rows[0]


def headline(card: dict[str, Any]) -> str:
    """Return a card in one line."""
    if card["state"] == "answer":
        first = card["causes"][0]
        return f"{first['mechanism']}: {first['event']['name']}"
    return str(card["says"]).rstrip(".") if "says" in card else "no cause found"


def outline(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a card as rows of a saved outline: for viewers that run no script."""
    lines = [_line(0, "symptom", card["symptom"])] if "symptom" in card else []
    lines += [_line(0, "", event) for event in card.get("events", ())]
    for rank, cause in enumerate(card.get("causes", ()), 1):
        lines.append(_line(0, f"{rank}. {cause['mechanism']} ({cause['confidence']})", cause["event"]))
        lines += [_line(1, "", event) for event in cause["because"]]
        for label, says in (("against", cause["against"]), ("next", cause["next"])):
            lines.append(_line(1, label, {**cause["event"], "name": "", "says": says, "family": "session"}))
    if not lines or card.get("missing"):
        says = "; ".join(card.get("missing", [])) or str(card.get("says", ""))
        nothing = {"type": "checkpoint", "family": "session", "name": "", "says": says}
        lines.append(_line(0, "missing" if card.get("missing") else "", nothing))
    return lines


def _line(depth: int, label: str, event: dict[str, Any]) -> dict[str, Any]:
    name = ": ".join(filter(None, [label, event["name"]]))
    return {
        "depth": depth, "family": event["family"], "type": event["type"].replace(" ", "_"), "label": name,
        "text": event["says"], "duration": "", "cost": "", "failed": False, "suspect": "",
    }  # fmt: skip
