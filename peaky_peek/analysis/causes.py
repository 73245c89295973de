"""Why a run went wrong: ranked causes, each with its evidence, by rules that need no model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from peaky_peek import store
from peaky_peek.analysis import attribution, facts, references
from peaky_peek.analysis.breakdowns import exceptions, failed_calls
from peaky_peek.analysis.bypass import bypasses
from peaky_peek.analysis.findings import Finding
from peaky_peek.analysis.repeats import loops
from peaky_peek.analysis.silence import silent_tools
from peaky_peek.analysis.symptoms import Symptom, in_words, symptom
from peaky_peek.analysis.trace import Trace, read
from peaky_peek.errors import EventNotFound
from peaky_peek.events import Event
from peaky_peek.store import dtypes
from peaky_peek.store.bulk import without_collection
from peaky_peek.store.sessions import resolve, resolve_many

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database

_BY_INFLUENCE = 0.08  # less than what lies between strong and fair evidence
_TELLING = 0.5
"""The score from which evidence tells more than the place of a step in the run."""
_LONGEST_PATH = 12


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What can be said about why a run went wrong. All clear is a symptom that is None."""

    trace: Trace
    symptom: Symptom | None
    causes: list[Finding]
    paths: list[list[str]]
    """Of each cause, the ids of the events that lead from it to the symptom."""
    missing: list[str]
    """What would have to be recorded to say more; only if there is no cause."""


def causes(session: Any = None, event: Any = None) -> pd.DataFrame:
    """Return what may have caused the failure of a run, the likeliest first; no rows when nothing failed.

    Args:
        session: a session reference; None for the newest.
        event: what to explain, an event or its id; None for what the run itself shows to be wrong.

    Returns:
        One row per cause: rank, the event and its place, mechanism (what kind of mistake), score, confidence (in
        words), because (a list of `{"event_id", "says"}`), against, next_step, path (ids from the cause to the symptom)
        and symptom_id.

    Raises:
        SessionNotFound: naming the closest.
        EventNotFound: if the session has no such event.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("pay") as ctx:
        ...     call = ctx.record_tool_call("charge", arguments={"eur": 12.5})
        ...     result = ctx.record_tool_result("charge", error="card declined", parent_id=call)
        >>> causes("pay")["mechanism"].tolist()[0]
        'failed call'
    """
    db = store.current()
    db.ingest()
    if session is None and not resolve_many(None, db):  # nothing is recorded yet
        return dtypes.frame("causes", {name: [] for name in dtypes.SCHEMA["causes"]})
    return frame(diagnose(db, resolve(session, db), None if event is None else str(event)))


def frame(found: Diagnosis) -> pd.DataFrame:
    """Return a diagnosis as `causes` does."""
    rows = [
        {
            "rank": rank, "event_id": one.event.id, "seq": found.trace.at(one.event),
            "message_index": one.event.metadata.get("message_index"), "event_type": one.event.kind,
            "name": one.event.name, "agent": attribution.speaker(one.event) or None, "mechanism": one.mechanism,
            "score": one.score, "confidence": confidence(one),
            "because": [{"event_id": shown.id, "says": says} for shown, says in one.because], "against": one.against,
            "next_step": one.next_step, "path": path,
            "symptom_id": found.symptom.event.id if found.symptom else None,
        }
        for rank, (one, path) in enumerate(zip(found.causes, found.paths, strict=True), 1)
    ]  # fmt: skip
    return dtypes.frame("causes", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["causes"]})


def diagnose(db: Database, session_id: str, event_id: str | None = None) -> Diagnosis:
    """Return why a session went wrong, or why one of its events happened.

    Raises:
        EventNotFound: if the session has no such event.
    """
    with without_collection():
        return _diagnose(db, session_id, event_id)


def _diagnose(db: Database, session_id: str, event_id: str | None) -> Diagnosis:
    trace = read(db, session_id)
    evident = [*silent_tools(trace), *bypasses(trace), *loops(trace)]
    if event_id is None:
        shown = symptom(trace, evident)
    elif event_id in trace.row:
        event = trace.events[trace.row[event_id]]
        shown = Symptom(event, in_words(event))
    else:
        raise EventNotFound(f"The session has no event {event_id!r}: `pp.events(session)` lists them.")
    if shown is None:
        return Diagnosis(trace, None, [], [], [])
    end = trace.at(shown.event)
    findings = [one for one in [*evident, *_found(db, trace, shown.event)] if trace.at(one.event) <= end]
    if not any(one.score >= _TELLING for one in findings):
        findings += (one for one in attribution.steps_to_blame(trace, shown.event) if trace.at(one.event) <= end)
    reached = trace.influence(shown.event)
    ranked = sorted(_merged(findings, reached), key=lambda one: (-one.score, trace.at(one.event)))
    paths = [_path(one.event, shown.event, reached) for one in ranked]
    return Diagnosis(trace, shown, ranked, paths, [] if ranked else _missing(trace))


def confidence(cause: Finding) -> str:
    """Return how far a cause is to be trusted, in words."""
    return cause.confidence or ("high" if cause.score >= 0.8 else "medium" if cause.score >= 0.5 else "low")


def _found(db: Database, trace: Trace, shown: Event) -> Iterator[Finding]:
    yield from facts.conflicts(trace, shown)
    yield from facts.lost_facts(trace, shown)
    yield from facts.units(trace)
    yield from references.differences(trace, references.same_job(db, trace))
    yield from failed_calls(trace, shown)
    yield from exceptions(trace, shown)
    yield from facts.invented_values(trace, shown)


def _merged(findings: list[Finding], reached: dict[str, tuple[float, str | None]]) -> Iterator[Finding]:
    """Yield one finding per event, the strongest, with the evidence of all, and by how much it led to the symptom."""
    by_event: dict[str, Finding] = {}
    for one in sorted(findings, key=lambda each: -each.score):
        best = by_event.get(one.event.id)
        if best is None:
            influence, _ = reached.get(one.event.id, (0.0, None)) if one.confidence is None else (0.0, None)
            by_event[one.event.id] = replace(one, score=round(min(one.score + _BY_INFLUENCE * influence, 1.0), 3))
        elif one.mechanism != best.mechanism and one.confidence is None:
            told = {(shown.id, says) for shown, says in best.because}
            best.because.extend(each for each in one.because if (each[0].id, each[1]) not in told)
    yield from by_event.values()


def _path(cause: Event, shown: Event, reached: dict[str, tuple[float, str | None]]) -> list[str]:
    """Return the ids on the surest way from a cause to the symptom, its middle left out if it is long."""
    path = [cause.id]
    while (step := reached.get(path[-1])) is not None and step[1] is not None:
        path.append(step[1])
    if path[-1] != shown.id:
        path.append(shown.id)
    half = _LONGEST_PATH // 2
    return path if len(path) <= _LONGEST_PATH else path[:half] + path[-half:]


def _missing(trace: Trace) -> list[str]:
    """Return what was not recorded and could tell more."""
    kinds = {one.kind for one in trace.events}
    missing = []
    if "llm_response" not in kinds:
        missing.append("what models were asked and answered: record in the process that calls them")
    if "tool_call" not in kinds:
        missing.append("calls of tools: decorate them with @pp.tool")
    if trace.session.note is None:
        missing.append("what was wrong: pp.label(session, outcome='fail', note=...)")
    if trace.session.task is None:
        missing.append("runs of the same task that passed, to compare with: pp.trace(task=...)")
    return missing
