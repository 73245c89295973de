"""What was known at any moment of a session: the conversation so far, what is at work, what it cost, and the state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from peaky_peek.analysis.changes import Change, changes
from peaky_peek.analysis.stepping import Stepper
from peaky_peek.errors import EventNotFound
from peaky_peek.events import AgentTurn, Checkpoint, Event
from peaky_peek.store import calls, dtypes, reader
from peaky_peek.store.bulk import without_collection
from peaky_peek.store.columns import EVENT_TYPES, MISSING, Columns, join, read
from peaky_peek.vocabulary import STATUSES

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

    from peaky_peek.store.database import Database

_REQUEST, _RESPONSE, _RESULT, _CHECKPOINT = map(
    EVENT_TYPES.index, ("llm_request", "llm_response", "tool_result", "checkpoint")
)
_ERROR = STATUSES.index("error")
_OPEN = ("event_id", "event_type", "name", "agent")
_KEPT = 64  # checkpoints, which may be large
_MOST = 1 << 48  # no call has as many tokens, and 10,000 of them still have a sum


class Message(NamedTuple):
    """Something said, and by which event at which position."""

    position: int
    event_id: str
    agent: str | None
    role: str | None
    content: Any
    tool_calls: Any
    tool_call_id: str | None


class OpenStep(NamedTuple):
    """An agent, a model call or a tool that is at work; `row` is the step's, `position` where it began."""

    row: int
    position: int
    event_id: str
    event_type: str
    name: str | None
    agent: str | None


class Tokens(NamedTuple):
    """Tokens of model calls, None where nothing is known; `uncounted` calls did not tell."""

    input: int | None
    output: int | None
    uncounted: int


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A session right after one of its events. What takes time to find is found when it is asked for."""

    position: int
    event_id: str
    timestamp: dt.datetime | None
    cost_usd: float | None
    """Of the model calls whose price is known, so far."""
    unpriced: int
    """Model calls whose price is not known: with some, the cost is at least `cost_usd`."""
    tokens: Tokens
    _of: Moments

    @property
    def event(self) -> Event:
        """What happened, typed."""
        return reader.read_event(self._of.db, self.event_id)

    @property
    def messages(self) -> list[Message]:
        """The conversation so far, each message once, as it was first sent or answered."""
        return self._of.said[: self._of.said_until(self.position)]

    @property
    def new_messages(self) -> list[Message]:
        """Those that this event added."""
        return self._of.said[self._of.said_until(self.position - 1) : self._of.said_until(self.position)]

    @property
    def stack(self) -> list[OpenStep]:
        """The agents, model calls and tools at work around this event, the outermost first."""
        return [self._of.open_step(row) for row in self._of.stepper.around(self.position)]

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint, or None before the first."""
        return self._of.checkpoint(self._of.last_checkpoint(self.position))

    @property
    def state(self) -> Any:
        """The state of the last checkpoint."""
        saved = self.checkpoint
        return None if saved is None else saved.state

    @property
    def memory(self) -> Any:
        """The memory of the last checkpoint."""
        saved = self.checkpoint
        return None if saved is None else saved.memory

    @property
    def changes(self) -> list[Change]:
        """What the last checkpoint changed against the one before it; paths begin with `state` or `memory`."""
        return self._of.changed_by(self._of.last_checkpoint(self.position))

    def __repr__(self) -> str:
        cost = "" if self.cost_usd is None else f", {'at least ' * (self.unpriced > 0)}${self.cost_usd:.4f}"
        working = ".".join(step.name or step.event_type for step in self.stack)
        return f"Moment({self.position}{f', in {working}' if working else ''}{cost})"


class Moments:
    """Every moment of a session; what is asked of many of them is computed once, when it is first asked for.

    Args:
        db: the store.
        steps: the frame of `peaky_peek.steps.steps`.

    Attributes:
        order: the ids of the session's events, and of those nested in it, in the order in which they happened.
        columns: the metadata of these events.
        stepper: the commands that lead from one position to another.
    """

    def __init__(self, db: Database, steps: pd.DataFrame) -> None:
        self.db, self.steps = db, steps
        self.columns = _events(db, steps)
        self.order: list[str] = self.columns.texts["event_id"].tolist()
        self.stepper = Stepper(steps, self.order)
        numbers = self.columns.numbers
        self._timestamps = dtypes.times(numbers["timestamp"])
        is_answer = (numbers["event_type"] == _RESPONSE) & (numbers["status"] != _ERROR)
        self.cost = SoFar(numbers["cost_usd"], np.isfinite(numbers["cost_usd"]))
        self._unpriced = np.cumsum(is_answer & np.isnan(numbers["cost_usd"]))
        tokens = [numbers["input_tokens"], numbers["output_tokens"]]
        self._input, self._output = (SoFar(one, (one > -_MOST) & (one < _MOST)) for one in tokens)
        self._uncounted = np.cumsum(is_answer & (tokens[0] == MISSING) & (tokens[1] == MISSING))
        self._checkpoints = np.flatnonzero(numbers["event_type"] == _CHECKPOINT)
        self.checkpoint = lru_cache(_KEPT)(self._read_checkpoint)
        self.changed_by = lru_cache(_KEPT)(self._compare)

    def __len__(self) -> int:
        return len(self.order)

    def at(self, position: int) -> Moment:
        """Return the moment right after an event.

        Raises:
            IndexError: when there is no such position.
        """
        if not 0 <= position < len(self):
            raise IndexError(f"There is no position {position}: this session has {len(self):,} events.")
        when = self._timestamps[position]
        return Moment(
            position=position,
            event_id=self.order[position],
            timestamp=None if pd.isna(when) else when.to_pydatetime(),
            cost_usd=self.cost.at(position),
            unpriced=int(self._unpriced[position]),
            tokens=Tokens(self._input.at(position), self._output.at(position), int(self._uncounted[position])),
            _of=self,
        )

    def events(self, *types: str) -> Iterator[tuple[int, Event]]:
        """Yield the typed events with their positions, one session after the other.

        Args:
            types: only events of these types; all without. Requests hold the messages that were new in them.
        """
        for session_id in self.steps.attrs["session_ids"]:
            for event in self._read(session_id, *types):
                if event.id in self._place:
                    yield self._place[event.id], event

    def position_of(self, event_id: str, default: int | None = None) -> int:
        """Return the position of an event.

        Raises:
            EventNotFound: when it is none of this session, and there is no default.
        """
        position = self._place.get(event_id, default)
        if position is None:
            raise EventNotFound(f"This session has no event {event_id!r}: `pp.events()` lists them.")
        return position

    @cached_property
    def requests(self) -> NDArray[np.int64]:
        """The positions of model requests, sorted."""
        return np.flatnonzero(self.columns.numbers["event_type"] == _REQUEST)

    def answers_between(self, start: int, stop: int) -> list[int]:
        """Return the positions of the answers of models and the results of tools after `start`, up to `stop`."""
        kinds = self.columns.numbers["event_type"][start + 1 : stop + 1]
        found: list[int] = (np.flatnonzero(np.isin(kinds, (_RESPONSE, _RESULT))) + start + 1).tolist()
        return found

    @cached_property
    def _place(self) -> dict[str, int]:
        return {event_id: position for position, event_id in enumerate(self.order)}

    @cached_property
    def said(self) -> list[Message]:
        """All messages in order; where no model was asked, the turns that were recorded."""
        with without_collection():
            found = [
                _message(self._place[event.id], event, message)
                for session_id in self.steps.attrs["session_ids"]
                for event, _, message in calls.said(self._read(session_id, "llm_request", "llm_response"))
                if event.id in self._place
            ] or [
                _message(position, turn, {"role": turn.speaker, "content": turn.content})
                for position, turn in self.events("agent_turn")
                if isinstance(turn, AgentTurn)
            ]
        return sorted(found, key=lambda message: message.position)

    def said_until(self, position: int) -> int:
        """Return how many of the messages were said by then."""
        return int(np.searchsorted(self._said_at, position, "right"))

    @cached_property
    def _said_at(self) -> NDArray[np.int64]:
        return np.array([message.position for message in self.said], np.int64)

    def open_step(self, row: int) -> OpenStep:
        """Return a step of the frame as one that is at work."""
        facts: Any = self.steps
        event_id, event_type, name, agent = (facts[column].iat[row] for column in _OPEN)
        known = (None if pd.isna(one) else one for one in (name, agent))
        return OpenStep(row, int(self.stepper.opens[row]), event_id, event_type, *known)

    def last_checkpoint(self, position: int) -> int:
        """Return the number of the last checkpoint by then, -1 before the first."""
        return int(np.searchsorted(self._checkpoints, position, "right")) - 1

    def _read_checkpoint(self, number: int) -> Checkpoint | None:
        if number < 0:
            return None
        event = reader.read_event(self.db, self.order[self._checkpoints[number]])
        return event if isinstance(event, Checkpoint) else None

    def _compare(self, number: int) -> list[Change]:
        saved, before = self.checkpoint(number), self.checkpoint(number - 1)
        if saved is None:
            return []
        return changes({} if before is None else saved_in(before), saved_in(saved))

    def _read(self, session_id: str, *types: str) -> list[Event]:
        return reader.read_events(self.db, session_id, types or None, whole=False)


def saved_in(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what a checkpoint holds, as paths name it."""
    return {name: value for name in ("state", "memory") if (value := getattr(checkpoint, name)) is not None}


class SoFar:
    """A sum at every position."""

    def __init__(self, values: NDArray[Any], is_known: NDArray[np.bool_]) -> None:
        self.sums = np.cumsum(np.where(is_known, values, 0))
        self._known = np.maximum.accumulate(is_known) if len(is_known) else is_known

    def at(self, position: int) -> Any:
        """Return the sum of what is known by then, None as long as nothing is."""
        return self.sums[position].item() if self._known[position] else None


def _events(db: Database, steps: pd.DataFrame) -> Columns:
    """Return the events that the steps are made of, in order; what was recorded since is left out."""
    events = join(read(db, steps.attrs["session_ids"]))
    if (np.diff(events.numbers["position"]) < 0).any():
        events = events.take(np.argsort(events.numbers["position"], kind="stable"))
    if len(events) > len(steps) + int(steps["close_id"].notna().sum()):
        known = pd.Index(steps["event_id"]).append(pd.Index(steps["close_id"].dropna()))
        events = events.take(np.flatnonzero(pd.Index(events.texts["event_id"]).isin(known)))
    return events


def _message(position: int, event: Event, message: dict[str, Any]) -> Message:
    role, call_id = (one if isinstance(one := message.get(key), str) else None for key in ("role", "tool_call_id"))
    content, tool_calls = calls.parts_of(message), calls.calls_of(message)
    return Message(position, event.id, event.agent, role, content, tool_calls, call_id)
