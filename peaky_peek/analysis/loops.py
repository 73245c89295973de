"""Does a run go in circles: the same work again and again, with nothing new coming of it?"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from peaky_peek.analysis import likeness
from peaky_peek.analysis.likeness import Outcome, Work
from peaky_peek.capture.alerts import Alert
from peaky_peek.events import Event, LLMRequest, LLMResponse, ToolCall, ToolResult

LONGEST = 16
"""Steps in the longest circle that is looked for."""
REPEATS = 3
_SAID, _RETRIES, _BARE, _WAITS = 5, 5, 6, 10
"""How often the rest must be: what a model said to the same, what failed, what is only done, what is not ready."""
_PAUSE_US, _GROWS = 50_000, 1.25
_OPEN = 10_000


class Loop(NamedTuple):
    """A circle that a run is in."""

    names: tuple[str, ...]
    """What is done again and again, in order."""
    repeats: int
    is_error: bool
    event_ids: tuple[str, ...]
    """What shows it: the last rounds."""

    def __str__(self) -> str:
        what = "error" if self.is_error else "result"
        names = list(dict.fromkeys(self.names))
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        return f"loop x{self.repeats}: {shown} with the same {what}{'s' * (len(self.names) > 1)}"


class _Opened(NamedTuple):
    """What is known of a call that has no answer yet."""

    name: str
    work: Work | None
    position: int
    time_us: int | None


@dataclass(slots=True)
class _Stream:
    """The steps of one session, as far back as a circle may reach."""

    tokens: deque[object] = field(default_factory=lambda: deque(maxlen=LONGEST))
    works: dict[str, deque[tuple[Work, int]]] = field(default_factory=dict)
    """What each tool was asked for lately, and what came of it."""
    stale: int = 0
    """How many steps in a row brought nothing that the last 16 had not brought."""
    names: dict[object, str] = field(default_factory=dict)
    """What was done in them, each thing once."""
    enough: int = 0
    failed: int = 0
    event_ids: deque[str] = field(default_factory=lambda: deque(maxlen=LONGEST * REPEATS))
    is_told: bool = False
    asked: int = 0
    """The last message that the model was sent."""
    is_decided: bool = False
    """Whether a model has spoken since the last step."""
    ended_at: int = 0
    ended_us: int | None = None
    gap_us: float = 0.0

    def add(self, token: object, name: str, enough: int, event_id: str, *, is_error: bool) -> None:
        """Add a step."""
        if token in self.tokens:
            self.stale += 1
            self.names[token] = name
            self.enough = max(self.enough, enough)
            self.failed += is_error
        else:
            self.stale, self.enough, self.failed, self.is_told = 0, 0, 0, False
            self.names.clear()
        self.tokens.append(token)
        self.event_ids.append(event_id)

    def loop(self) -> Loop | None:
        """Return the circle that these steps go in: round twice, and once more begun."""
        period = len(self.names)
        if self.stale < max(2 if period == 1 else 4, period + 1):
            return None
        if self.enough > REPEATS and self.stale < (self.enough - 1) * period:
            return None
        shown = tuple(self.event_ids)[-min(self.stale + period, REPEATS * period) :]
        return Loop(tuple(self.names.values()), -(-self.stale // period) + 1, self.failed == self.stale, shown)


class Loops:
    """Finds repeated work without new information, at the step that shows it; each step costs the same.

    A circle is up to 16 steps, arguments included, that go on with the same results when they were done twice. Pages of
    a list, retries that wait longer each time, and asking until the answer changes are none. What only acknowledges,
    and what says that it is not ready yet, may be done more often.

    Args:
        stops: whether the run is ended for it.

    Example:
        >>> found = []
        >>> loops = Loops()
        >>> for n in range(0, 8, 2):
        ...     place = {"session_id": "s", "name": "search"}
        ...     call = ToolCall(id=f"{n}", position=n, tool_name="search", arguments={"q": "flights"}, **place)
        ...     result = ToolResult(id=f"{n}r", position=n + 1, parent_id=call.id, result=[], **place)
        ...     found += [*loops.feed(call), *loops.feed(result)]
        >>> [alert.signal for alert in found], loops.now.repeats
        (['loop x3: search with the same result'], 4)
    """

    types: Collection[str] = ("tool_call", "tool_result", "llm_request", "llm_response")

    def __init__(self, *, stops: bool = False) -> None:
        self._stops = stops
        self._streams: dict[str, _Stream] = {}
        self._open: dict[str, _Opened] = {}
        self.now: Loop | None = None
        """The circle that the run is in at present."""

    def feed(self, event: Event) -> Iterable[Alert]:
        """Return an alert at the step that closes a circle once too often."""
        stream = self._streams.setdefault(event.session_id, _Stream())
        if isinstance(event, ToolCall):
            self._note(event, likeness.work(event.arguments))
        elif isinstance(event, LLMRequest):
            if isinstance(event.messages, list) and event.messages:
                stream.asked = likeness.work(event.messages[-1]).exact
            self._note(event, Work(stream.asked, stream.asked, ""))
        elif isinstance(event, ToolResult):
            yield from self._step(stream, event, likeness.outcome(event.result, event.error))
        elif isinstance(event, LLMResponse):
            if event.tool_calls:  # the tools are the steps; in which words they are asked for is all the same
                self._open.pop(event.parent_id or "", None)
                stream.is_decided = True
                return
            problem = "error" if event.status == "error" else None
            yield from self._step(stream, event, likeness.outcome(event.content, problem))
            stream.is_decided = problem is None

    def _note(self, event: Event, work: Work) -> None:
        self._open[event.id] = _Opened(event.name, work, event.position, event.time_us)
        if len(self._open) > _OPEN:  # of calls that nobody ever answers
            self._open.pop(next(iter(self._open)))

    def _step(self, stream: _Stream, event: Event, outcome: Outcome) -> Iterable[Alert]:
        """Add a step that has ended."""
        unknown = _Opened(event.name, None, event.position, event.time_us)
        opened = self._open.pop(event.parent_id or "", unknown)
        token: object = self._token(stream, opened, outcome)
        is_beside = opened.position < stream.ended_at
        stream.ended_at = event.position
        if is_beside and token in stream.tokens:  # done at once with others, or around them: no repetition
            return
        if not stream.tokens or token != stream.tokens[-1]:
            stream.gap_us = 0.0
        elif _is_backing_off(stream, opened, outcome):
            token = object()
        event_id = event.parent_id if opened is not unknown and event.parent_id else event.id
        enough = _enough(outcome, stream, event, is_known=opened.work is not None)
        stream.add(token, opened.name, enough, event_id, is_error=outcome.is_error)
        stream.is_decided, stream.ended_us = False, event.time_us
        self.now = loop = stream.loop()
        if loop is not None and not stream.is_told:
            stream.is_told = True
            yield Alert(
                "loop", str(loop), severity="high" if self._stops else "medium", show=self._stops,
                related_event_ids=loop.event_ids,
            )  # fmt: skip

    def _token(self, stream: _Stream, opened: _Opened, outcome: Outcome) -> int:
        """Return what is the same for the same work with the same outcome."""
        work = opened.work
        if work is None:
            return hash((opened.name, outcome.key))
        recent = stream.works.setdefault(opened.name, deque(maxlen=8))
        for known, came in recent:
            if came == outcome.key and likeness.alike(known, work):
                work = known
                break
        else:
            recent.append((work, outcome.key))
        return hash((opened.name, work.exact, outcome.key))


def _enough(outcome: Outcome, stream: _Stream, event: Event, *, is_known: bool) -> int:
    """Return how often a step must be done, with nothing new, to be a circle."""
    if outcome.is_waiting:
        return _WAITS
    if outcome.is_bare or not is_known:
        return _BARE
    if outcome.is_error and not stream.is_decided:
        return _RETRIES
    return _SAID if isinstance(event, LLMResponse) else REPEATS


def _is_backing_off(stream: _Stream, opened: _Opened, outcome: Outcome) -> bool:
    """Tell whether code tries again by itself and waits longer each time."""
    if not outcome.is_error or stream.is_decided or opened.time_us is None or stream.ended_us is None:
        return False
    before, stream.gap_us = stream.gap_us, opened.time_us - stream.ended_us
    return stream.gap_us >= _PAUSE_US and stream.gap_us >= before * _GROWS
