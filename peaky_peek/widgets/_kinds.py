"""What is special to read of each kind of step: arguments beside the result, the choice, attempts, changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from peaky_peek.analysis.changes import changes
from peaky_peek.events import Checkpoint, Decision, Event, LLMRequest, SafetyCheck, ToolCall, ToolResult
from peaky_peek.widgets import _text
from peaky_peek.widgets._arguments import breaches
from peaky_peek.widgets._previews import brief
from peaky_peek.widgets._surroundings import Row, Surroundings
from peaky_peek.widgets._values import parsed, presentable

Section = dict[str, Any]

_CHANGES = 200
_CHOICES = 100


@dataclass
class Layout:
    """Sections above and below a step's other fields, and the fields that they show already."""

    sections: list[Section] = field(default_factory=list)
    below: list[Section] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)


def layout(events: Sequence[Event], around: Surroundings) -> Layout:
    """Return what is laid out for the kind of a step, given its events in order."""
    match events[0]:
        case ToolCall() as call:
            return _tool(call, events, around)
        case LLMRequest() as request:
            return Layout(below=list(_attempts(request, around)))
        case Decision() as decision:
            return _decision(decision, around)
        case Checkpoint() as checkpoint:
            return Layout(sections=list(_changed(checkpoint, around)))
        case SafetyCheck() as check if check.failed or check.outcome == "warn":
            return Layout(below=[after] if (after := links("Done after it", around.actions_after(check))) else [])
    return Layout()


def links(title: str, rows: Sequence[Row]) -> Section | None:
    """Return a section of steps that can be gone to, None for no steps."""
    if not rows:
        return None
    shown = [
        {"row": row, "event_id": event_id, "name": _text.one_line(name), "type": kind.replace("_", " ")}
        for row, event_id, name, kind in rows
    ]
    return {"title": title, "kind": "links", "links": shown}


def _tool(call: ToolCall, events: Sequence[Event], around: Surroundings) -> Layout:
    """Return the arguments beside the result; first what is wrong with the arguments."""
    made = Layout(fields={"arguments"})
    schema = around.schema(call)
    if schema is not None and (wrong := breaches(call.arguments, schema)):
        said = [_text.visible(sentence) for sentence in wrong]
        made.sections.append({"title": "Arguments break the tool's schema", "kind": "problems", "problems": said})
    sides = [{"title": "Arguments", "value": presentable(parsed(call.arguments), [0, "arguments"])}]
    result = next(((at, one) for at, one in enumerate(events) if isinstance(one, ToolResult)), None)
    if result is not None and result[1].error is None:
        at, one = result
        made.fields.add("result")
        sides.append({"title": "Result", "value": presentable(parsed(one.result), [at, "result"])})
    made.sections.append({"title": "Call", "kind": "sides", "sides": sides})
    return made


def _attempts(request: LLMRequest, around: Surroundings) -> Iterator[Section]:
    """Yield the HTTP exchanges of a model call as a table: a retry is a second row."""
    rows = []
    for attempt, status, started, ms, first, sent, received, error, url, played in around.exchanges(request):
        after = "" if started is None or request.time_us is None else _text.duration((started - request.time_us) / 1000)
        said = " ".join(part for part in (error or "", "played from a tape" if played else "") if part)
        cells = (
            attempt,
            status,
            after,
            _text.duration(ms),
            _text.duration(first),
            _bytes(sent),
            _bytes(received),
            said,
        )
        rows.append([_text.one_line("" if cell is None else str(cell)) for cell in (*cells, url)])
    if rows:
        head = ["Attempt", "Status", "Sent after", "Took", "First byte", "Sent", "Received", "Error", "Address"]
        kept = [at for at in range(len(head)) if any(row[at] for row in rows)]
        table = [[row[at] for at in kept] for row in rows]
        yield {
            "title": "Exchanges",
            "kind": "table",
            "head": [head[at] for at in kept],
            "rows": table,
            "open": len(rows) > 1,
        }


def _decision(decision: Decision, around: Surroundings) -> Layout:
    """Return what was chosen over what, how sure the agent was, and what it went by, as links."""
    made = Layout(fields={"alternatives", "evidence_event_ids", "chosen_action"})
    others = decision.alternatives if isinstance(decision.alternatives, list) else [decision.alternatives]
    chosen = brief(decision.chosen_action)
    rejected = [said for other in others[:_CHOICES] if (said := brief(other)) and said != chosen]
    confidence = decision.confidence
    if isinstance(confidence, bool) or not isinstance(confidence, (int, float)) or not 0 <= confidence <= 1:
        confidence = None
    else:
        made.fields.add("confidence")
    made.sections.append(
        {"title": "Choice", "kind": "choice", "chosen": chosen, "rejected": rejected, "confidence": confidence}
    )
    ids = decision.evidence_event_ids if isinstance(decision.evidence_event_ids, list) else []
    if evidence := links("Went by", around.rows([str(known) for known in ids])):
        made.below.append(evidence)
    return made


def _changed(checkpoint: Checkpoint, around: Surroundings) -> Iterator[Section]:
    """Yield what changed against the checkpoint before."""
    before = around.checkpoint_before(checkpoint)
    if before is None:
        return
    found = changes(before.state, checkpoint.state)
    shown = [
        {"path": _text.one_line(one.path), "change": one.kind, "before": brief(one.before), "after": brief(one.after)}
        for one in found[:_CHANGES]
    ]
    title = f"Changed since {_text.one_line(before.label or before.name)}"
    yield {"title": title, "kind": "changes", "changes": shown, "more": len(found) - len(shown)}


def _bytes(size: int | None) -> str:
    if size is None:
        return ""
    return f"{size} B" if size < 1024 else f"{size / 1024:,.1f} KB"
