"""Asking a model, and looking at what was recorded of it."""

from __future__ import annotations

import json
from typing import Any

from peaky_peek.store import Database, exchanges
from peaky_peek.store.reader import read_events

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", "news")]
SEEN = ("llm_request", "llm_response", "tool_call", "tool_result", "decision", "refusal", "error")


def ask(client: Any, messages: list[Any] = ASK, **more: Any) -> Any:
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages, **more)


def again(client: Any, body: dict[str, Any]) -> Any:
    """Ask what was asked in a real exchange."""
    known = {name: body[name] for name in ("model", "messages", "stream") if name in body}
    rest = {name: value for name, value in body.items() if name not in known}
    return client.chat.completions.create(**known, extra_body=rest)


def events(store: Database, *types: str) -> list[Any]:
    """What is recorded of model calls in all sessions, in order."""
    store.ingest()
    assert store.connection().execute("SELECT reason FROM unreadable").fetchall() == []
    sessions = store.connection().execute("SELECT session_id FROM sessions ORDER BY position").fetchall()
    found = [event for (session,) in sessions for event in read_events(store, session)]
    return [event for event in found if event.event_type in (types or SEEN)]


def kinds(store: Database) -> list[str]:
    return [event.event_type.value for event in events(store)]


def attempts(store: Database) -> list[tuple[Any, ...]]:
    store.ingest()
    sql = "SELECT attempt, status, complete FROM exchanges ORDER BY position"
    return store.connection().execute(sql).fetchall()


def assert_same_answer(response: Any, theirs: Any) -> None:
    choice = theirs.choices[0]
    assert response.content == choice.message.content
    assert response.finish_reason == choice.finish_reason
    assert [(call["id"], call["name"], call["arguments"]) for call in response.tool_calls or [] if call["id"]] == [
        (call.id, call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []
    ]
    if theirs.usage:
        assert (response.usage["input"], response.usage["output"]) == (
            theirs.usage.prompt_tokens, theirs.usage.completion_tokens,
        )  # fmt: skip
    else:
        assert response.usage is None


def dump(store: Database) -> str:
    """Everything that is written, unpacked."""
    store.ingest()
    connection = store.connection()
    rows = [exchanges.load(connection, row[0]) for row in connection.execute("SELECT exchange_id FROM exchanges")]
    return repr(rows) + "\n".join(connection.iterdump())


def stored_bytes(store: Database) -> int:
    """The bytes of every value in the tables of model calls."""
    store.ingest()
    total = 0
    for table in ("events", "exchanges"):
        for row in store.connection().execute(f"SELECT * FROM {table}"):
            total += sum(
                len(value.encode()) if isinstance(value, str) else len(value) if isinstance(value, bytes) else 8
                for value in row
            )
    return total
