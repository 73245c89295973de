"""The conversation as data: each thing once, who said it, and how it answers what was said before."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import peaky_peek as pp
from peaky_peek.analysis.dialogue import turns
from peaky_peek.events import AgentTurn, Error, LLMRequest, LLMResponse, SafetyCheck, ToolCall, ToolResult
from peaky_peek.store import Database
from tests.recordings import Run
from tests.refunds import Refund

SYSTEM = {"role": "system", "content": "Be kind."}
ASK = {"role": "user", "content": "What is the weather in Lisbon?"}
CALL = {"id": "c1", "name": "weather", "arguments": {"city": "Lisbon"}}


@pytest.fixture
def run() -> Run:
    return Run("s")


def said(run: Run, store: Database, *columns: str) -> list[tuple[Any, ...]]:
    frame = turns(run.save(store))[list(columns or ("role", "speaker", "text"))].astype(object)
    return list(frame.where(frame.notna(), None).itertuples(index=False, name=None))


def answer(run: Run, messages: list[dict[str, Any]], **fields: Any) -> None:
    request = run.add(LLMRequest, "gpt", agent="bot", messages=messages)
    run.add(LLMResponse, "gpt", request, agent="bot", **fields)


@pytest.mark.parametrize("call_id", [None, "c1"], ids=["of a tool without ids", "of a tool with ids"])
def test_what_is_sent_again_is_said_once_and_a_result_stands_at_its_call(
    run: Run, store: Database, call_id: str | None
) -> None:
    answer(run, [SYSTEM, ASK], tool_calls=[CALL])
    call = run.add(ToolCall, "weather", agent="bot", tool_name="weather", arguments=CALL["arguments"], call_id=call_id)
    run.add(ToolResult, "weather", call, agent="bot", tool_name="weather", result="sunny", call_id=call_id)
    result = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}
    answer(run, [SYSTEM, ASK, {"role": "assistant", "tool_calls": [CALL]}, result], content="It is sunny.")
    assert said(run, store) == [
        ("system", "system", "Be kind."),
        ("user", "user", "What is the weather in Lisbon?"),
        ("assistant", "bot", None),
        ("tool", "weather", None),
        ("assistant", "bot", "It is sunny."),
    ]


@pytest.mark.parametrize(
    "result",
    [
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sunny"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": "sunny"}}]},
    ],
    ids=["chat", "Anthropic", "Gemini"],
)
def test_a_result_that_no_recorded_call_has_is_said_as_it_was_sent(
    run: Run, store: Database, result: dict[str, Any]
) -> None:
    answer(run, [ASK, {"role": "assistant", "tool_calls": [CALL]}, result], content="It is sunny.")
    assert [role for role, *_ in said(run, store)] == ["user", "assistant", "tool", "assistant"]


def test_a_turn_that_was_also_a_message_is_said_once(run: Run, store: Database) -> None:
    run.add(AgentTurn, "user", speaker="ann", content=ASK["content"])
    answer(run, [ASK], content="Sunny.")
    run.add(AgentTurn, "bot", speaker="bot", content="Sunny.")
    run.add(AgentTurn, "ann", speaker="ann", content="Thanks!")
    assert [text for *_, text in said(run, store)] == [ASK["content"], "Sunny.", "Thanks!"]


def test_what_one_agent_passes_on_to_another_is_said_by_that_agent(run: Run, store: Database) -> None:
    answer(run, [ASK], content="A plan of two lines.")
    request = run.add(LLMRequest, "gpt", agent="critic", messages=[{"role": "user", "content": "A plan of two lines."}])
    run.add(LLMResponse, "gpt", request, agent="critic", content="approved")
    assert [speaker for _, speaker, _ in said(run, store)] == ["user", "bot", "bot", "critic"]


def test_failures_are_part_of_it_and_checks_that_passed_are_not(run: Run, store: Database) -> None:
    run.add(SafetyCheck, "pii", policy_name="pii", outcome="pass")
    run.add(SafetyCheck, "pii", policy_name="pii", outcome="block")
    run.add(Error, "ValueError", error_type="ValueError")
    assert said(run, store, "role", "speaker", "failed") == [("note", "pii", True), ("note", "ValueError", True)]


def test_turns_tell_how_they_answer_and_whether_they_were_said_before(run: Run, store: Database) -> None:
    sentence = "Please book the table at Trattoria Nove tonight"
    for speaker, content in (("ann", sentence), ("bob", "Which table tonight?"), ("ann", sentence)):
        run.add(AgentTurn, speaker, speaker=speaker, content=content)
    columns = ("speaker", "turn_index", "responsiveness", "non_repetition")
    assert said(run, store, *columns) == [
        ("ann", 0, None, None), ("bob", 0, 2 / 3, None), ("ann", 1, 2 / 6, 0.0),
    ]  # fmt: skip


def test_the_columns_and_dtypes_are_there_when_nothing_was_said(run: Run, store: Database) -> None:
    run.add(ToolCall, "x")
    frame = turns(run.save(store)).iloc[:0]
    assert dict(frame.dtypes) == {name: pd.Series(dtype=dtype).dtype for name, dtype in pp.SCHEMA["dialogue"].items()}


def test_the_widget_has_the_conversation_as_a_frame_and_reads_its_texts(store: Database) -> None:
    talk = pp.conversation(Refund("refund").save(store))
    assert repr(talk).startswith("Conversation(refund_agent")
    assert talk.frame.equals(turns("refund"))
    [columns, lines, _mask] = talk._drawn()
    rows = len(talk.frame)
    assert columns[0]["rows"] == len(talk._recording)
    assert lines[0]["kind"] == "lines"
    [(texts, _)] = talk._answer({"type": "lines", "start": 0, "stop": 1_000})
    assert len(texts["facts"]["lines"]) == rows
    assert texts["facts"]["lines"][1]["text"]["text"].startswith("T-88: the lamp")
    assert texts["facts"]["lines"][3]["error"]["text"].startswith("LookupError")


def test_the_rest_of_a_long_text_comes_when_it_is_asked_for(run: Run, store: Database) -> None:
    long = "word " * 1_000
    answer(run, [SYSTEM, {"role": "user", "content": long}], content="line\n" * 40)
    talk = pp.conversation(run.save(store))
    talk._drawn()
    [(texts, _)] = talk._answer({"type": "lines", "start": 1, "stop": 3})
    for at, line, whole in zip((1, 2), texts["facts"]["lines"], (long, "line\n" * 40), strict=True):
        assert len(line["text"]["text"]) < len(whole) == line["text"]["length"]
        [(rest, _)] = talk._answer({"type": "whole", "line": at, "path": line["text"]["path"]})
        assert rest["facts"]["text"] == whole


def test_an_exported_page_holds_the_texts(store: Database, tmp_path: Any) -> None:
    page = pp.conversation(Refund("refund").save(store)).to_html(tmp_path / "talk.html").read_text()
    assert "T-88: the lamp" in page


def test_the_magic_shows_it(store: Database) -> None:
    from peaky_peek.magics.peek import _shown

    Refund("refund").save(store)
    assert repr(_shown("conversation", "refund")).startswith("Conversation(refund_agent")
