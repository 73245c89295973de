"""Two sessions, or two sets of them, in numbers: the same measures of either, and how far they are apart."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from peaky_peek import steps as stepping
from peaky_peek.analysis.dialogue import lines
from peaky_peek.encoding import as_text
from peaky_peek.events import Decision, Event, PolicyViolation, PromptPolicy, Refusal, SafetyCheck, ToolCall
from peaky_peek.store import dtypes, reader
from peaky_peek.store.bulk import without_collection

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database

MEASURES = {
    "turns": "things said by a user, a model or an agent",
    "speakers": "who said them, users left out",
    "model calls": "requests to models",
    "tool calls": "calls of tools",
    "tools": "different tools that were called",
    "failed steps": "steps that failed",
    "suspect steps": "steps that completed but smell",
    "input tokens": "read by models",
    "output tokens": "written by models",
    "cost": "of the calls whose price is known, in US dollars",
    "duration": "from the start to the end, in seconds",
    "latency": "of a call of a model, at the median, in seconds",
    "policies": "different policies that guided prompts, checked, refused or were violated",
    "checks not passed": "safety checks that warned, failed or blocked",
    "refusals": "things refused",
    "violations": "policies violated",
    "escalations": "calls, decisions and handoffs that go to a person or up",
    "decisions": "decisions recorded, or read from the answers of models",
    "grounded decisions": "the share of them that names the events it rests on, all recorded before it",
    "stance shift": "how far what speakers say last is from what they said first: 1 minus the cosine of their words",
}
"""What is measured, and what it counts. What a run does not tell is NA."""

_TYPES = "tool_call decision safety_check refusal policy_violation prompt_policy".split()
_ESCALATES = re.compile(r"escalat|human|supervisor|manager|on[-_ ]?call|page[-_ ]?(?:someone|duty)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{3,}")


def comparison(db: Database, a: Sequence[str], b: Sequence[str]) -> pd.DataFrame:
    """Return the measures of two sets of sessions beside each other; of one session each, or at the mean of several.

    Args:
        db: the store that they are in.
        a: ids of sessions.
        b: ids of those to compare with.

    Returns:
        One row per measure, in the order of `MEASURES`: measure (str), a, b and delta (Float64: b minus a; NA where
        either is unknown), meaning (str).
    """
    with without_collection():
        of_a, of_b = (_means([measures(db, session_id) for session_id in ids]) for ids in (a, b))
    pairs = {name: (of_a[name], of_b[name]) for name in MEASURES}
    apart = {name: None if one is None or other is None else other - one for name, (one, other) in pairs.items()}
    columns = {
        "measure": list(MEASURES),
        **{side: [known[name] for name in MEASURES] for side, known in (("a", of_a), ("b", of_b), ("delta", apart))},
        "meaning": list(MEASURES.values()),
    }
    return dtypes.frame("comparison", columns)


def measures(db: Database, session_id: str) -> dict[str, float | None]:
    """Return the measures of a session with those nested in it, None where it does not tell."""
    session = reader.read_session(db, session_id)
    steps = stepping.steps(db, session_id)
    ids = steps.attrs["session_ids"]
    events = [one for each in ids for one in reader.read_events(db, each, _TYPES)]
    decisions = [one for one in events if isinstance(one, Decision)]
    checks = [one for one in events if isinstance(one, SafetyCheck)]
    models = steps[steps["event_type"] == "llm_request"]
    latencies = models["duration_ms"].dropna().tolist()
    tools = [as_text(one.tool_name or one.name) for one in events if isinstance(one, ToolCall)]
    said = [line for line in lines(db, ids) if line.role in ("user", "assistant", "turn") and line.text.strip()]
    told: dict[str, list[str]] = defaultdict(list)
    for line in said:
        if line.role != "user":
            told[line.speaker or ""].append(line.text)
    told.pop("user", None)
    costs = steps["cost_usd"].dropna()
    duration = session.duration
    return {
        "turns": len(said),
        "speakers": len(told),
        "model calls": len(models),
        "tool calls": len(tools),
        "tools": len(set(tools)),
        "failed steps": int(steps["failed"].sum()),
        "suspect steps": int(steps["suspect"].notna().sum()),
        **{f"{side} tokens": _sum(steps[f"{side}_tokens"]) for side in ("input", "output")},
        "cost": float(costs.sum()) if len(costs) else None,
        "duration": None if duration is None else duration.total_seconds(),
        "latency": median(latencies) / 1000 if latencies else None,
        "policies": len({name for one in events for name in _policies(one)}),
        "checks not passed": sum(one.outcome != "pass" for one in checks),
        "refusals": sum(isinstance(one, Refusal) for one in events),
        "violations": sum(isinstance(one, PolicyViolation) for one in events),
        "escalations": sum(map(_escalates, events)),
        "decisions": len(decisions),
        "grounded decisions": fmean(map(_is_grounded, decisions)) if decisions else None,
        "stance shift": _shift(told.values()),
    }


def _means(found: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    known = {name: [value for each in found if (value := each[name]) is not None] for name in MEASURES}
    return {name: fmean(values) if values else None for name, values in known.items()}


def _sum(column: pd.Series[Any]) -> float | None:
    known = column.dropna()
    return float(known.sum()) if len(known) else None


def _policies(one: Event) -> list[str]:
    name = one.template_id if isinstance(one, PromptPolicy) else getattr(one, "policy_name", None)
    return [name] if isinstance(name, str) else []


def _escalates(one: Event) -> bool:
    """Tell whether an event goes to a person or up. A call that a decision chose counts once: as the call."""
    if isinstance(one, ToolCall):
        handoff = one.metadata.get("handoff")
        target = as_text(handoff.get("to") or "") if isinstance(handoff, dict) else ""
        return bool(_ESCALATES.search(f"{as_text(one.tool_name or one.name)} {target}"))
    is_own = isinstance(one, Decision) and one.metadata.get("derived") is not True
    return is_own and bool(_ESCALATES.search(as_text(one.chosen_action)))  # type: ignore[attr-defined]


def _is_grounded(one: Decision) -> bool:
    named = one.evidence_event_ids
    return isinstance(named, list) and bool(named) and all(isinstance(each, str) and each < one.id for each in named)


def _shift(told: Iterable[Sequence[str]]) -> float | None:
    shifts = [_distance(texts[0], texts[-1]) for texts in told if len(texts) > 1]
    known = [shift for shift in shifts if shift is not None]
    return fmean(known) if known else None


def _distance(one: str, other: str) -> float | None:
    counts = [Counter(_WORD.findall(text.casefold())) for text in (one, other)]
    lengths = [math.sqrt(sum(n * n for n in count.values())) for count in counts]
    if 0.0 in lengths:
        return None
    return 1 - sum(n * counts[1][word] for word, n in counts[0].items()) / (lengths[0] * lengths[1])
