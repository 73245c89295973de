"""Causes that show beside runs of the same task that went well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from peaky_peek.analysis.effects import effect_of
from peaky_peek.analysis.findings import Finding, brief, quoted
from peaky_peek.analysis.trace import Call, Trace, read
from peaky_peek.encoding import decode, encode
from peaky_peek.events import Event, LLMRequest, PromptPolicy
from peaky_peek.values import texts_in, values_in

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_NEWEST = 30
_MOST = 3
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def same_job(db: Database, trace: Trace) -> list[Trace]:
    """Return the newest runs of the same task that passed and were asked about the same ids, amounts and dates."""
    session = trace.session
    if session.task is None:
        return []
    sql = """SELECT session_id, input FROM sessions WHERE task = ? AND outcome = 'pass' AND session_id != ?
        ORDER BY position DESC LIMIT ?"""
    asked = set(values_in(session.input))
    found = db.connection().execute(sql, (session.task, session.session_id, _NEWEST))
    alike = [session_id for session_id, encoded in found if set(values_in(encoded and decode(encoded))) == asked]
    return [read(db, session_id) for session_id in alike[:_MOST]]


def differences(trace: Trace, passed: list[Trace]) -> Iterator[Finding]:
    """Yield the first call that matters and that no run that passed makes like this.

    That is, of the first change that none of them makes, where its values were first used.
    """
    if not passed or not trace.calls:
        return
    usual = {_key(one) for other in passed for one in other.calls}
    known = {value for other in passed for one in other.calls for value in values_in(one.call.arguments)}
    unusual = [one for one in trace.calls if _key(one) not in usual]
    if not unusual:
        return
    change = next((one for one in unusual if _changes(one)), unusual[0])
    values = set(values_in(change.call.arguments)) - known
    first = next((one for one in unusual if values.intersection(values_in(one.call.arguments))), change)
    missing = _missing(trace, passed)
    task = quoted(trace.session.task or "")
    because: list[tuple[Event, str]] = [
        (
            first.call,
            f"{first.tool} is called with {brief(first.call.arguments)}; no run of {task} that passed does that",
        )
    ]
    lost = [line for line in _prompt_lines(passed[0]) if line not in _prompt_lines(trace)]
    told = next((line for line in lost if any(name in line for name in missing)), None)
    start = _prompt(trace)
    if start is not None and lost:
        because.append((start, f"the prompt no longer says {quoted(told or lost[0])}"))
    made = {_key(one) for one in trace.calls}
    skipped = next((one for one in passed[0].calls if _key(one) not in made), None)
    if missing:
        because.append((first.chosen_by, f"every run that passed calls {', '.join(missing[:3])}, this one never does"))
    elif skipped is not None:
        also = f"a run that passed also calls {skipped.tool} with {brief(skipped.call.arguments)}"
        because.append((first.chosen_by, also))
    yield Finding(
        event=first.chosen_by,
        mechanism="lost instruction" if told else "differs from runs that passed",
        score=0.88 if told else 0.7 if _changes(first) else 0.6,
        because=because,
        against=f"It was compared with {len(passed)} of the runs that passed; there may be more than one good way.",
        next_step=f"Compare the two: pp.diff({trace.session.session_id!r}, {passed[0].session.session_id!r}).",
    )


def _missing(trace: Trace, passed: list[Trace]) -> list[str]:
    """Return the tools that every run that passed calls and this one does not, in order."""
    everywhere = set[str].intersection(*({one.tool for one in other.calls} for other in passed))
    called = {one.tool for one in trace.calls}
    return [name for name in dict.fromkeys(one.tool for one in passed[0].calls) if name in everywhere - called]


def _key(one: Call) -> tuple[str, frozenset[str] | bytes]:
    """Return what makes two calls the same: the values in them, whatever form the arguments have, else all of them."""
    return one.tool, frozenset(values_in(one.call.arguments)) or encode(one.call.arguments)


def _changes(one: Call) -> bool:
    return effect_of(one.call) not in (None, "read")


def _prompt(trace: Trace) -> Event | None:
    """Return the event that first tells the system's prompt."""
    return next((one for one in trace.events if _system(one)), None)


def _system(event: Event) -> list[str]:
    if isinstance(event, PromptPolicy):
        return list(texts_in(event.policy_parameters))
    if isinstance(event, LLMRequest):
        messages = event.messages if isinstance(event.messages, list) else []
        told = [
            one.get("content")
            for one in messages
            if isinstance(one, dict) and one.get("role") in ("system", "developer")
        ]
        return list(texts_in(told))
    return []


def _prompt_lines(trace: Trace) -> list[str]:
    found = _prompt(trace)
    return (
        [line for text in _system(found) for each in _SENTENCE.split(text) if (line := each.strip())] if found else []
    )
