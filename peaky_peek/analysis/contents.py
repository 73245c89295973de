"""What a step says, apart from what is different in every run: what two runs are compared by."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from peaky_peek import steps as stepping
from peaky_peek.analysis.alignment import Likeness
from peaky_peek.encoding import encode
from peaky_peek.events import AgentStart, Event, LLMRequest, LLMResponse
from peaky_peek.store import calls, reader
from peaky_peek.store.bulk import without_collection
from peaky_peek.values import texts_in

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.store.database import Database

_GIVEN = {
    "messages", "model", "provider", "settings", "tools", "input", "code", "memory", "template_id",
    "policy_parameters", "state_summary", "goal", "evidence", "alternatives",
}  # fmt: skip
"""What a step was given. It may differ, and the step still do the same."""
_SAID = {"content", "thinking", "reasoning", "rationale", "confidence", "description", "safe_alternative"}
"""What can be said in other words and mean the same."""
_NOT_COMPARED = {
    "call_id", "usage", "cost_usd", "time_to_first_token_ms", "stream", "complete", "stack_trace", "turn_index",
    "evidence_event_ids", "related_event_ids", "repair_sequence_id",
}  # fmt: skip
"""What differs in every run."""
_RUN_SPECIFIC = re.compile(
    rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{16,}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.:+Z]*",
    re.IGNORECASE,
)
"""Ids and clock times that are made anew in every run."""
_MAY_BE_RUN_SPECIFIC = re.compile(rb"[0-9a-fA-F]{4}(?:[0-9a-fA-F]{4}|-\d\d-\d\d[T ]\d)").search
_SORTED = orjson.OPT_SORT_KEYS
_MAY_BE_JSON = {"arguments", "result", "input", "output", "chosen_action", "content"}
_ANSWERING = {"assistant", "model", "tool", "function"}
_NAMED_BY_CHOICE = {"decision", "prompt_policy"}
_DIFFERS = re.compile(r"[\w$€#.:/@+-]*\d[\w.:/@%-]*")
_TEXT = 240
"""Characters of a step that tell what it is like."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a step was given, what it did, and in which words."""

    given: dict[str, Any]
    did: dict[str, Any]
    said: dict[str, Any]

    @property
    def all(self) -> dict[str, Any]:
        """Everything, what it did first."""
        return {**self.did, **self.said, **self.given}


class Run:
    """A session, step by step: `steps` is its frame, `contents` and `exact` what each step is compared by."""

    def __init__(self, steps: pd.DataFrame, openers: Sequence[Event], contents: Sequence[Content]) -> None:
        self.steps = steps
        self.contents = contents
        self._openers = openers
        self._failed: list[bool] = steps["failed"].tolist()
        self._top = openers[0].agent if openers else None
        self.exact = [self._exact(row) for row in range(len(contents))]

    def __len__(self) -> int:
        return len(self.contents)

    def opener(self, row: int) -> Event:
        """Return the event that opens a step."""
        return self._openers[row]

    def kind(self, row: int) -> str:
        """Return the type of the event that opens a step."""
        return self._openers[row].kind

    def name(self, row: int) -> str:
        """Return what a step is called."""
        return self._openers[row].name

    def failed(self, row: int) -> bool:
        """Tell whether a step failed."""
        return self._failed[row]

    def likeness(self, row: int) -> Likeness:
        """Return what a step is like, for when no step of the other run is the same."""
        kind, agent, name, status = self._place(row)
        did, said = self.contents[row].did, self.contents[row].said
        text = " ".join(texts_in([did, said]))[:_TEXT]
        arguments = did.get("arguments")
        keys = sorted(map(str, arguments)) if isinstance(arguments, dict) else None
        role = "" if kind in _NAMED_BY_CHOICE else name
        masked, rough = (kind, agent, name, status, keys, _DIFFERS.sub("…", text)), (kind, agent, role)
        return Likeness(_digest(_bytes(masked)), _digest(_bytes(rough)), kind, role, status, text)

    def _exact(self, row: int) -> int:
        one = self.contents[row]
        return _digest(_bytes(self._place(row)) + comparable([one.did, one.said]))

    def _place(self, row: int) -> tuple[str, str, str, str]:
        """Return kind, agent, name and status. The names of a run, of its agent and of a model say nothing."""
        opener = self._openers[row]
        is_top = opener.agent == self._top
        is_named = not (isinstance(opener, (LLMRequest, LLMResponse)) or (isinstance(opener, AgentStart) and is_top))
        agent = "" if is_top or opener.agent is None else opener.agent
        return opener.kind, agent, opener.name if is_named else "", "failed" if self._failed[row] else ""


def read(db: Database, session_id: str) -> Run:
    """Return a session as it is compared with another."""
    with without_collection():
        return _read_run(db, session_id)


def _read_run(db: Database, session_id: str) -> Run:
    frame = stepping.steps(db, session_id)
    events: dict[str, Event] = {}
    for each in frame.attrs["session_ids"]:
        events.update((one.id, one) for one in reader.read_events(db, each, whole=False))
    closers = frame["close_id"].where(frame["close_id"].notna(), None)
    pairs = [
        (events[opener], events.get(closer) if closer else None)
        for opener, closer in zip(frame["event_id"].tolist(), closers.tolist(), strict=True)
    ]
    known: set[bytes] = set()
    contents = [content(opener, closer, known) for opener, closer in pairs]
    return Run(frame, [opener for opener, _ in pairs], contents)


def content(opener: Event, closer: Event | None, known: set[bytes]) -> Content:
    """Return what a step says, given its events.

    Args:
        opener: its first event.
        closer: what closes it.
        known: the messages that earlier requests brought; those of this one are added. What models and tools said is
            told by their own steps.
    """
    found = Content({}, {}, {})
    for one in (opener, closer):
        for name, recorded in one.typed().items() if one is not None else ():
            value = _read(name, recorded, known)
            if name not in _NOT_COMPARED and value not in (None, [], {}, ""):
                (found.given if name in _GIVEN else found.said if name in _SAID else found.did)[name] = value
    return found


def _read(name: str, value: Any, known: set[bytes]) -> Any:
    """Return a field as it is compared."""
    if name == "messages":
        return list(_new(value, known))
    if name == "tool_calls":
        return [{"name": call.name, "arguments": call.arguments} for call in calls.tool_requests(value)]
    if name == "tools" and isinstance(value, list):
        return [_tool_name(each) for each in value]
    if name in _MAY_BE_JSON and isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(orjson.JSONDecodeError):
            return orjson.loads(value)
    return value


def comparable(value: Any) -> bytes:
    """Return a value as bytes that are the same in two runs which differ in ids and clock times only."""
    try:
        encoded = orjson.dumps(value, option=_SORTED)
    except (TypeError, orjson.JSONEncodeError):  # what JSON has no word for
        encoded = encode(value)
    return _RUN_SPECIFIC.sub(b"*", encoded) if _MAY_BE_RUN_SPECIFIC(encoded) else encoded


def _new(messages: Any, known: set[bytes]) -> Iterator[Any]:
    for message in messages if isinstance(messages, list) else [messages]:
        if isinstance(message, dict) and (message.get("role") in _ANSWERING or "call_id" in message):
            continue
        told = (
            {"role": message.get("role"), "content": calls.parts_of(message)} if isinstance(message, dict) else message
        )
        encoded = comparable(told)
        if encoded not in known:
            known.add(encoded)
            yield told


def _tool_name(tool: Any) -> Any:
    inner = tool.get("function", tool) if isinstance(tool, dict) else tool
    return inner.get("name", inner) if isinstance(inner, dict) else inner


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def _bytes(place: tuple[Any, ...]) -> bytes:
    return repr(place).encode("utf-8", "replace")
