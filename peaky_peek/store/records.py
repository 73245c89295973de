"""What is written down about an event: a small header that becomes its columns, and the payload that stays encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from peaky_peek import encoding
from peaky_peek.events import EVENT_CLASSES, Event, EventType
from peaky_peek.interrupts import text
from peaky_peek.store import schema

_PAYLOAD_BASE = ("data", "metadata", "upstream_event_ids")


class Limit(NamedTuple):
    """The longest that a value may be, in encoded bytes, and what takes secrets out of it before it is cut."""

    size: int
    clean: Callable[[bytes], bytes]


MOST = 900_000_000
"""Bytes of an event. SQLite holds a billion in a value; longer fields are cut to a third of it, and marked."""


def encode_event(event: Event, limit: Limit | None = None, **instead: Any) -> bytes:
    """Return the body of an event record: the header, a newline, the payload as tagged JSON.

    The header is `["E", ...]` and then the values of `schema.EVENT_COLUMNS` up to the payload, which does not repeat
    text that has a column. `limit` cuts typed fields that are too long, and marks them; `instead` is written in place
    of typed fields.
    """
    payload = event.typed()
    if instead:
        payload.update(instead)
    if event.data:
        payload["data"] = event.data
    if event.metadata:
        payload["metadata"] = event.metadata
    if event.upstream_event_ids:
        payload["upstream_event_ids"] = event.upstream_event_ids
    try:
        verdict = event.failed, event.suspect
    except Exception:  # noqa: BLE001 - a value that cannot be looked at, like an array that is neither true nor false
        verdict = False, None
    header = [
        "E", event.id, event.session_id, event.position, event.parent_id, event.kind, event.name, event.agent,
        event.time_us, event.duration_ms, event.status, event.importance, *verdict, *_take_columns(event.kind, payload),
    ]  # fmt: skip
    try:
        line = orjson.dumps(header)
    except TypeError:  # text that is no text: the column shows the nearest, the payload keeps it exactly
        own = [name for name in _TEXT_COLUMNS if name in event.typed_fields]
        payload["exact"] = {name: getattr(event, name) for name in ("name", "agent", "parent_id", *own)}
        line = orjson.dumps([_column(value) for value in header])
    encoded = encoding.encode(payload)
    if len(encoded) > (MOST if limit is None else limit.size):
        encoded = _cut(payload, limit or Limit(MOST // 3, bytes))
    return line + b"\n" + encoded


def _take_columns(kind: str, payload: dict[str, Any]) -> tuple[Any, ...]:
    """Return model, tool_name, input_tokens, output_tokens, cost_usd and error_type; text leaves the payload."""
    if kind in _TOOLS:
        return None, _take(payload, "tool_name"), None, None, None, None
    if kind in _MODELS:
        usage: Any = payload.get("usage")
        counts = (usage.get("input"), usage.get("output")) if issubclass(type(usage), dict) else (None, None)
        return _take(payload, "model"), None, *map(_number, (*counts, payload.get("cost_usd"))), None
    return (None, None, None, None, None, _take(payload, "error_type")) if kind == "error" else _NO_COLUMNS


def _take(payload: dict[str, Any], name: str) -> Any:
    value = payload.get(name)
    if type(value) is str:
        del payload[name]
    return value


def _number(value: Any) -> int | float | None:
    return value if issubclass(type(value), (int, float)) else None  # to ask the value itself may raise


_NO_COLUMNS = (None,) * 6
_TOOLS = ("tool_call", "tool_result")
_MODELS = ("llm_request", "llm_response")
_TEXT_COLUMNS = {name: schema.EVENT_COLUMNS.index(name) for name in ("model", "tool_name", "error_type")}


def _column(value: Any) -> Any:
    try:
        orjson.dumps(value)
    except TypeError:
        return text(value).encode("utf-8", "backslashreplace").decode()
    return value


def _cut(payload: dict[str, Any], limit: Limit) -> bytes:
    """Return the payload with each value cut: clean before, because half a secret does not look like one."""
    whole = orjson.loads(limit.clean(encoding.encode(payload)))
    parts = [orjson.dumps(name) + b":" + encoding.cut(orjson.dumps(value), limit.size) for name, value in whole.items()]
    return b"{" + b",".join(parts) + b"}"


def split(body: bytes) -> tuple[list[Any], bytes]:
    """Return header and payload of a record's body; the header's first item is the kind of record."""
    line, _, payload = body.partition(b"\n")
    return orjson.loads(line), payload


def encode_record(kind: str, header: Sequence[Any], payload: bytes = b"") -> bytes:
    """Return the body of a record that is not an event."""
    return orjson.dumps([kind, *header], default=str) + b"\n" + payload


class Earlier(Protocol):
    """What a request that resends a conversation refers to, by the event id of an earlier request."""

    def messages(self, event_id: str) -> list[Any]:
        """Return the messages of the request."""

    def answer(self, event_id: str) -> Any:
        """Return the content of the response to it."""


def event_from_row(row: Sequence[Any], earlier: Earlier | None = None) -> Event:
    """Return the typed event of a row in the order of `schema.EVENT_COLUMNS`.

    `earlier` makes the messages of a resent conversation whole; without it they stay in the form of `history`.
    """
    event_id, session_id, position, parent_id, kind, name, agent, time_us, duration_ms, status, importance = row[:11]
    payload = encoding.decode(row[-1])
    if earlier is not None and is_history(payload.get("messages")):
        payload["messages"] = unfolded(payload["messages"], earlier)
    cls = EVENT_CLASSES[EventType(kind)]
    fields = {name: row[at] for name, at in _TEXT_COLUMNS.items() if name in cls.typed_fields and row[at] is not None}
    fields |= {key: payload[key] for key in (*cls.typed_fields, *_PAYLOAD_BASE) if key in payload}
    fields |= {"parent_id": parent_id, "name": name, "agent": agent} | payload.get("exact", {})
    return cls(
        id=event_id, session_id=session_id, position=position, time_us=time_us, duration_ms=duration_ms,
        status=status, importance=importance, **fields,
    )  # fmt: skip


def history(event_id: str, keep: int, new: list[Any], answer: Any = None) -> encoding.Tagged:
    """Return the form of `messages` that repeats the first `keep` of an earlier request, then says `new`.

    A message that says what the earlier request was answered, as the first new one does, does not say it again.
    """
    if isinstance(answer, str) and len(answer) > _WORTHWHILE and _said(new) == answer:
        new = [new[0] | {"content": encoding.Tagged({encoding.TAG: "answer"})}, *new[1:]]
    return encoding.Tagged({encoding.TAG: "history", "event": event_id, "keep": keep, "new": new})


def is_history(messages: Any) -> bool:
    """Tell whether messages are in the form of `history`."""
    return isinstance(messages, dict) and messages.get(encoding.TAG) == "history"


def unfolded(form: dict[str, Any], earlier: Earlier) -> list[Any]:
    """Return the messages that are in the form of `history`."""
    event_id, new = form["event"], form["new"]
    if _said(new) == _ANSWER:
        new = [new[0] | {"content": earlier.answer(event_id)}, *new[1:]]
    return [*earlier.messages(event_id)[: form["keep"]], *new]


_ANSWER = {encoding.TAG: "answer"}
_WORTHWHILE = 64  # characters; a reference takes some itself


def _said(new: list[Any]) -> Any:
    return new[0].get("content") if new and isinstance(new[0], dict) else None
