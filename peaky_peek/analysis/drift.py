"""Where a run that was restored, or played, leaves the path of its original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from peaky_peek import store
from peaky_peek.analysis.changes import Change, changes, is_same
from peaky_peek.analysis.moments import saved_in
from peaky_peek.encoding import as_text
from peaky_peek.errors import NotRestorable
from peaky_peek.events import (
    AgentStart,
    AgentTurn,
    Checkpoint,
    Decision,
    Error,
    Event,
    LLMResponse,
    SafetyCheck,
    ToolCall,
    ToolResult,
)
from peaky_peek.store import calls, dtypes, reader
from peaky_peek.store.sessions import resolve, resolve_many

if TYPE_CHECKING:
    import pandas as pd

COMPARED = frozenset(
    "llm_response tool_call tool_result decision error checkpoint safety_check refusal policy_violation"
    " agent_turn".split()
)
"""The types of events that are compared: what was said, chosen, done, and came of it."""

_SIDE_BY_SIDE = ("tool_call", "tool_result")
_LONGEST = 80


class Difference(NamedTuple):
    """A step that differs."""

    severity: str
    """low: it is said in other words; medium: another value; high: another step."""
    description: str
    original_value: Any
    restored_value: Any
    original: Event | None
    """None where the original had nothing more."""
    restored: Event


class Comparison:
    """Compares the events of a run with those of its original, as they come.

    Tools that are called side by side may be so in any order. After a step that is another one, nothing is comparable.

    Args:
        original: the events that the run is to repeat, in order.
    """

    def __init__(self, original: Iterable[Event]) -> None:
        self._steps = [event for event in original if is_compared(event)]
        self._at = 0
        self._early: set[int] = set()
        """Steps further on that were met already."""
        self.is_over = False
        """Whether the paths have parted, or the original is at its end."""

    def feed(self, event: Event) -> Difference | None:
        """Return how an event differs from that of the original, None when it does not or cannot be compared."""
        if self.is_over or not is_compared(event):
            return None
        found = self._matching(event)
        if found is None:
            self.is_over = True
            return None
        original = self._steps[found]
        self._early.add(found)
        while self._at in self._early:
            self._early.discard(self._at)
            self._at += 1
        difference = compare(original, event)
        if difference is not None and difference.severity == "high":
            self.is_over = True
        return difference

    def _matching(self, event: Event) -> int | None:
        """Return the step of the original that an event is to be compared with; None after the last."""
        open_steps = [at for at in self._side_by_side() if at not in self._early]
        same = [at for at in open_steps if _sign(self._steps[at]) == _sign(event)]
        equal = (at for at in same if is_same(_content(self._steps[at]), _content(event)))
        first = open_steps[0] if open_steps else None
        return next(equal, same[0] if same else first)

    def _side_by_side(self) -> Iterator[int]:
        """Yield the steps that may come next: a run of calls and results, or a single other one."""
        for at in range(self._at, len(self._steps)):
            if at > self._at and self._steps[at].kind not in _SIDE_BY_SIDE:
                return
            yield at
            if self._steps[at].kind not in _SIDE_BY_SIDE:
                return


def is_compared(event: Event) -> bool:
    """Tell whether an event is compared; a decision that was read from an answer is part of it."""
    return event.event_type in COMPARED and event.metadata.get("derived") is not True


def compare(original: Event, restored: Event) -> Difference | None:
    """Return how two events differ."""
    one, other = _sign(original), _sign(restored)
    if one != other or original.failed != restored.failed:
        said = f"{_named(restored)} where the original had {_named(original)}"
        return Difference("high", said, " ".join(one), " ".join(other), original, restored)
    found = changes(_content(original), _content(restored))
    if not found:
        return None
    first = found[0]
    if isinstance(original, LLMResponse):
        worse = [change for change in found if not change.path.startswith("content")]
        if not worse:
            said = f"{_named(restored)} says it in other words"
            return Difference("low", said, original.content, getattr(restored, "content", None), original, restored)
        first = worse[0]
    said = f"{_named(restored)}: {_told(first)}"
    return Difference("medium", said, first.before, first.after, original, restored)


def events_after(session_id: str, event_id: str | None = None) -> list[Event]:
    """Return the events of a session that come after one of them, without the ends of what had begun before it.

    The answer to a model request comes after it: the request is asked again. Without an event, all come.
    """
    events = reader.read_events(store.current(), session_id, whole=False)
    start = next((at for at, event in enumerate(events) if event.id == event_id), -1)
    begun = {event.id for event in events[: start + 1]} - {event_id}
    return [event for event in events[start + 1 :] if not _ends(event, begun)]


def drift(session: Any = None) -> pd.DataFrame:
    """Return one row per step in which a restored or played run differs from its original, until their paths part.

    Args:
        session: a reference to the restored run; None for the newest.

    Returns:
        The frame: event_id (of the restored run) and original_event_id, event_type, name, severity (low: said in other
        words; medium: another value; high: another step, and the last row), description, original_value and
        restored_value.

    Raises:
        SessionNotFound: naming the closest.
        NotRestorable: for a session that was not restored or played from another.
    """
    db = store.current()
    db.ingest()
    if session is None and not resolve_many(None, db):  # nothing is recorded yet
        return dtypes.frame("drift", {name: [] for name in dtypes.SCHEMA["drift"]})
    run = reader.read_session(db, resolve(session, db))
    if run.forked_from is None:
        raise NotRestorable(f"{run.name or run.session_id} is no restored run: `with pp.restore(...)` begins one.")
    rows = [_row(found) for found in _differences(run.session_id, run.forked_from)]
    return dtypes.frame("drift", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["drift"]})


def _differences(session_id: str, original_id: str) -> Iterator[Difference]:
    events = reader.read_events(store.current(), session_id, whole=False)
    told = next((event.data.get("restored_from") for event in events if isinstance(event, AgentStart)), None)
    comparison = Comparison(events_after(original_id, told if isinstance(told, str) else None))
    for event in events:
        if (found := comparison.feed(event)) is not None:
            yield found


def _row(found: Difference) -> dict[str, Any]:
    return {
        "event_id": found.restored.id, "original_event_id": found.original.id if found.original else None,
        "event_type": found.restored.kind, "name": found.restored.name, "severity": found.severity,
        "description": found.description, "original_value": found.original_value,
        "restored_value": found.restored_value,
    }  # fmt: skip


def _ends(event: Event, begun: set[str]) -> bool:
    return isinstance(event, (LLMResponse, ToolResult)) and event.parent_id in begun


def _sign(event: Event) -> tuple[str, ...]:
    """Return what makes it the same step, whatever it says."""
    if isinstance(event, LLMResponse):
        return (event.kind, *sorted(as_text(call.name) for call in calls.tool_requests(event.tool_calls)))
    if isinstance(event, Decision):
        return event.kind, as_text(event.chosen_action)
    if isinstance(event, Error):
        return event.kind, as_text(event.error_type)
    if isinstance(event, ToolResult):
        return event.kind, as_text(event.tool_name or event.name)
    return event.kind, event.name


def _content(event: Event) -> Any:
    """Return what a step says."""
    if isinstance(event, LLMResponse):
        asked = [{"name": call.name, "arguments": call.arguments} for call in calls.tool_requests(event.tool_calls)]
        return {"tool_calls": asked, "content": event.content}
    if isinstance(event, ToolCall):
        return {"arguments": event.arguments}
    if isinstance(event, ToolResult):
        return {"result": event.result, "error": event.error}
    if isinstance(event, Checkpoint):
        return saved_in(event)
    if isinstance(event, SafetyCheck):
        return {"outcome": event.outcome}
    return {"content": event.content} if isinstance(event, AgentTurn) else {}


def _named(event: Event) -> str:
    kind = event.kind.replace("_", " ")
    if isinstance(event, LLMResponse):
        names = ", ".join(as_text(call.name) for call in calls.tool_requests(event.tool_calls))
        return f"an answer that calls {names}" if names else "an answer"
    if isinstance(event, ToolResult) and event.failed:
        kind = "failed tool result"
    return f"{kind} {event.name}"


def _told(change: Change) -> str:
    if change.kind == "added":
        return f"{change.path} is new: {_short(change.after)}"
    if change.kind == "removed":
        return f"{change.path} is missing, it was {_short(change.before)}"
    return f"{change.path} is {_short(change.after)}, it was {_short(change.before)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
