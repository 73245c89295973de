"""Causes in what the agent knew: a fact lost on the way, a value that does not fit, a unit mixed up, one made up."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Any

import orjson

from peaky_peek.analysis.findings import Finding, brief, quoted
from peaky_peek.analysis.trace import Trace, said, words
from peaky_peek.causality import told
from peaky_peek.encoding import as_text
from peaky_peek.events import AgentTurn, Event, LLMRequest, LLMResponse, ToolResult
from peaky_peek.values import texts_in, values_in, words_in

_CURRENCIES = "aud brl cad chf cny czk dkk eur gbp hkd huf inr jpy krw mxn nok nzd pln sek sgd try usd zar".split()
_UNITS = {
    **dict.fromkeys(_CURRENCIES, "currency"),
    **dict.fromkeys("ms seconds minutes hours days".split(), "time"),
    **dict.fromkeys("km miles meters feet".split(), "length"),
    **dict.fromkeys("kg grams pounds lbs ounces".split(), "weight"),
    **dict.fromkeys("celsius fahrenheit kelvin".split(), "temperature"),
}
_CHOSEN = 1000
_LATEST = 40  # numbers from which another may have been calculated


def conflicts(trace: Trace, symptom: Event) -> Iterator[Finding]:
    """Yield the first choice of a value when another, which the failure says does not fit it, was known already."""
    alike: dict[str, list[str]] = defaultdict(list)
    for value in values_in(told(symptom)) if symptom.failed else ():
        alike[re.sub(r"\d", "9", re.sub(r"[A-Za-z]+", "a", value))].append(value)
    named = {value for values in alike.values() if len(values) > 1 for value in values}
    if not named:
        return
    before = trace.at(symptom)
    first: dict[str, int] = {}
    for row, event in enumerate(trace.events[:before]):
        for value in named.intersection(values_in(told(event))):
            first.setdefault(value, row)
    known = [[value for value in values if value in first] for values in alike.values()]
    newest = {value: max(values, key=first.__getitem__) for values in known for value in values}
    told_for = set()
    for one in trace.calls:
        if trace.at(one.call) >= before:
            return
        for value in values_in(one.call.arguments):
            newer = newest.get(value, value)
            if value == newer or newer in told_for or first[newer] > trace.at(one.call):
                continue
            told_for.add(newer)
            source = trace.events[first[newer]]
            yield Finding(
                event=one.chosen_by, mechanism="wrong argument", score=0.85,
                because=[
                    (symptom, f"{value} does not fit {newer}: {quoted(said(symptom))}"),
                    (source, f"{source.name} had told {newer}"),
                    (one.call, f"{one.tool} is called with {value} all the same: {brief(one.call.arguments)}"),
                ],
                against=f"{newer} may be the one that is wrong.",
                next_step=f"Restart from before this step with {newer} in the place of {value}.",
            )  # fmt: skip


def lost_facts(trace: Trace, symptom: Event) -> Iterator[Finding]:
    """Yield answers that leave out what their agent had read, and what the symptom is about."""
    speakers = {one.agent for one in trace.events if isinstance(one, LLMResponse)}
    if len(speakers) < 2:
        return
    about = words(symptom)
    before = trace.events[: trace.at(symptom)]
    told_by: dict[str, dict[str | None, int]] = defaultdict(dict)
    count: dict[str, int] = defaultdict(int)
    shared = [about & words(one) for one in before]
    for row, one in enumerate(before):
        for word in shared[row]:
            told_by[word][one.agent] = row
            count[word] += not isinstance(one, LLMRequest)
    answers = {one.id for one in trace.answers}
    next_answer: dict[str | None, Event] = {}
    best: tuple[float, Event, Event, set[str]] | None = None
    for source, known in zip(reversed(before), reversed(shared), strict=True):
        if source.id in answers:
            next_answer[source.agent] = source
        answer = next_answer.get(source.agent)
        if answer is None or not isinstance(source, (ToolResult, AgentTurn)):
            continue
        row = trace.at(answer)
        lost = known - shared[row]
        lost -= {word for word in lost if any(at > row and who != source.agent for who, at in told_by[word].items())}
        weight = sum(1 / count[word] for word in lost)
        if len(lost) > 1 and (best is None or weight >= best[0]):
            best = weight, source, answer, lost
    if best is not None:
        yield _lost(symptom, *best[1:])


def _lost(symptom: Event, source: Event, answer: Event, lost: set[str]) -> Finding:
    line = max(texts_in(told(source)), key=lambda text: len(lost & words_in(text)), default="")
    who = source.agent or "the agent"
    return Finding(
        event=answer, mechanism="lost handoff", score=0.8,
        because=[
            (source, f"{who} reads {quoted(line)}"),
            (answer, f"and leaves it out of what it hands on: {quoted(said(answer))}"),
            (symptom, f"which is what the symptom is about: {quoted(said(symptom))}"),
        ],
        against="Whoever came after might have read it there as well.",
        next_step=f"Let {who} hand on {quoted(line)}, or give the next agent what it read.",
    )  # fmt: skip


def units(trace: Trace) -> Iterator[Finding]:
    """Yield choices of a number in one unit that was told in another."""
    numbers: dict[str, dict[tuple[str, str], Event]] = defaultdict(dict)
    calls = {one.result.id: one for one in trace.calls if one.result is not None}
    starts = {one.call.id: one for one in trace.calls}
    for event in trace.events:
        if event.id in calls and isinstance(event, ToolResult):
            for number, kind, unit in _measured(event.result):
                numbers[number].setdefault((kind, unit), event)
        elif event.id in starts:
            one = starts[event.id]
            for key, number in _numbers(one.call.arguments):
                kind, unit = _unit_of(key)
                known = numbers.get(number, {}).items()
                sources = [(source, other) for (of_kind, other), source in known if of_kind == kind]
                if kind and sources and all(other != unit for _, other in sources):
                    source, other = sources[0]
                    told_as, taken_as = other.upper(), unit.upper()
                    yield Finding(
                        event=one.chosen_by, mechanism="wrong unit", score=0.85,
                        because=[
                            (source, f"{source.name} tells {number} in {told_as}"),
                            (one.call, f"{one.tool} is called with {key} = {number}, as if that were {taken_as}"),
                        ],
                        against=f"One {told_as} may be worth one {taken_as} here.",
                        next_step=f"Convert {told_as} to {taken_as} before {one.tool}, and say so in the prompt.",
                    )  # fmt: skip
                    return


def invented_values(trace: Trace, symptom: Event) -> Iterator[Finding]:
    """Yield the first choice of a value that nobody told and that cannot be calculated from what was told."""
    known: set[str] = set()
    starts = {one.call.id: one for one in trace.calls}
    for event in trace.events[: trace.at(symptom)]:
        one = starts.get(event.id)
        if one is not None and known:
            told_here = [
                value for value in values_in(one.call.arguments) if value not in known and not _is_round(value)
            ]
            new = [value for value in told_here if not _is_derived(value, known)]
            if new:
                yield Finding(
                    event=one.chosen_by, mechanism="invented value", score=0.35,
                    because=[(one.call, f"{one.tool} is called with {new[0]}, which nobody had told before")],
                    against="It may be in a text that was not recorded, or calculated in more than one step.",
                    next_step=f"Look in the prompt before this step for where {new[0]} may come from.",
                )  # fmt: skip
                return
        if not isinstance(event, LLMResponse):  # what a model says first is what is in question
            known.update(values_in(_prompt(event) if isinstance(event, LLMRequest) else told(event)))


def _prompt(request: LLMRequest) -> list[Any]:
    """Return what is new in a prompt and not of the model's own."""
    messages = request.messages if isinstance(request.messages, list) else [request.messages]
    return [one for one in messages if not (isinstance(one, dict) and one.get("role") in ("assistant", "model"))]


def _is_round(value: str) -> bool:
    """Tell whether a number may be anybody's choice: how many, how long."""
    return value.isdigit() and int(value) < _CHOSEN


def _is_derived(value: str, known: set[str]) -> bool:
    try:
        wanted = float(value)
    except ValueError:
        return any(value in other or other in value for other in known)
    numbers = [float(other) for other in known if re.fullmatch(r"\d+(\.\d+)?", other)][-_LATEST:]
    made = (made for a, b in product(numbers, numbers) for made in (a + b, a - b, a * b, a / b if b else a))
    return any(abs(each - wanted) < 0.006 for each in made)


def _measured(result: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the numbers of a result whose unit stands beside them, or in their name."""
    stack = [_parsed(result)]
    while stack:
        one = stack.pop()
        if isinstance(one, list):
            stack += one
        elif isinstance(one, dict):
            stack += map(_parsed, one.values())
            beside = [
                (_UNITS[text.lower()], text.lower())
                for text in one.values()
                if isinstance(text, str) and text.lower() in _UNITS
            ]
            for key, value in one.items():
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    kind, unit = _unit_of(key)
                    for known in [(kind, unit)] if kind else beside[:1]:
                        yield f"{value:.12g}", *known


def _numbers(arguments: Any) -> Iterator[tuple[str, str]]:
    for key, value in arguments.items() if isinstance(arguments, dict) else ():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield as_text(key), f"{value:.12g}"


def _unit_of(key: Any) -> tuple[str, str]:
    for part in reversed(as_text(key).lower().split("_")):
        if part in _UNITS:
            return _UNITS[part], part
    return "", ""


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    return value
