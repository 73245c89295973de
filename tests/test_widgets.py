"""Widgets: what travels to the browser, what is saved with a notebook, and how Python and picture follow each other."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from peaky_peek.encoding import Cut, Repr
from peaky_peek.errors import PeekError
from peaky_peek.events import EVENT_CLASSES, AgentEnd, AgentStart, EventType, LLMRequest, LLMResponse
from peaky_peek.widgets import _details, _fallback, _outline, _previews, _text, _values, _wire
from peaky_peek.widgets._messages import conversation
from tests.example_steps import GOLDEN, as_text, example_events, golden, steps_frame

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \x1b[31mred\x1b[0m \u202eevil \x00 \udc80 \"' &amp;"


def large_frame(rows: int) -> pd.DataFrame:
    """A frame as `steps.steps` makes it, of any size."""
    numbers = np.arange(rows)
    return pd.DataFrame(
        {
            "event_id": [f"id-{n}" for n in numbers],
            "close_id": pd.array([None] * rows, dtype="str"),
            "parent": (numbers - 1).astype("int32"),
            "depth": np.minimum(numbers, 30).astype("int32"),
            "event_type": pd.Categorical(np.array(list(EventType))[numbers % 17], categories=list(EventType)),
            "name": [f"step {n % 200}" for n in numbers],
            "duration_ms": numbers.astype(float),
            "cost_usd": np.full(rows, np.nan),
            "importance": np.full(rows, 0.5),
            "failed": numbers == rows - 2,
            "suspect": pd.array([None] * rows, dtype="str"),
            "status": pd.array([None] * rows, dtype="str"),
            "running": np.zeros(rows, bool),
            "derived": np.zeros(rows, bool),
            "family": "session",
        }
    )


@pytest.mark.parametrize("name", sorted(golden()))
def test_python_says_what_the_golden_files_of_the_wire_contract_say(name):
    written = (GOLDEN / f"{name}.json").read_text()
    assert as_text(golden()[name]) == written, (
        "the contract changed: `python -m tests.example_steps`, and js/src/wire.ts"
    )


def test_columns_of_a_hundred_thousand_steps_take_20_bytes_each_and_2_mb_in_all():
    message, buffers = _wire.columns(large_frame(100_000))
    size = sum(map(len, buffers))
    assert message["rows"] == 100_000
    assert size <= 20 * 100_000
    assert size <= 2_000_000


def test_columns_say_unknown_as_nan_and_never_as_zero():
    _, buffers = _wire.columns(steps_frame(example_events()))
    cost = np.frombuffer(buffers[_wire.COLUMNS.index("cost")], "<f4")
    assert np.isnan(cost[0])
    assert cost[1] == pytest.approx(0.00123)


def test_columns_take_names_of_any_number_and_length():
    frame = large_frame(70_000).assign(name=[f"{n} {'x' * 100}" for n in range(70_000)])
    _, buffers = _wire.columns(frame)
    code, offsets, text = (buffers[_wire.COLUMNS.index(name)] for name in ("name_code", "name_offsets", "name_utf8"))
    code, offsets = np.frombuffer(code, "<u4"), np.frombuffer(offsets, "<u4")
    name = text[offsets[code[69_999]] : offsets[code[69_999] + 1]].decode()
    assert name.startswith("69999 xxx")
    assert len(name) == _wire.NAME_LIMIT


def test_columns_of_no_steps_are_empty():
    message, buffers = _wire.columns(steps_frame(example_events()).iloc[:0])
    assert message["rows"] == 0
    assert len(buffers) == len(_wire.COLUMNS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain — 退款", "plain — 退款"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link", "␛]8;;http://x␇link"),
        ("a\x00b\x7f\x9b", "a␀b␡\\u009b"),
        ("admin\u202etxt.exe\u2066", "admin\\u202etxt.exe\\u2066"),
        ("lone \udc80", "lone \\udc80"),
        ("hidden \U000e0041", "hidden \\U000e0041"),
        ("a\r\nb\tc\n", "a\nb\tc\n"),
    ],
)
def test_text_that_acts_unseen_is_made_visible(text, shown):
    assert _text.visible(text) == shown


def test_one_line_is_one_line_of_limited_length():
    assert _text.one_line("a\n\n  b\tc") == "a b c"
    assert _text.one_line("x" * 10_000_000, 10) == "xxxxxxxxx…"


def test_a_long_text_is_cut_and_its_path_leads_to_the_whole():
    value = [{"result": {"log": "x" * 10_000, "ok": True}}]
    shown = _values.presentable(value[0]["result"], [0, "result"])
    assert shown["ok"] is True
    assert (len(shown["log"]["value"]), shown["log"]["length"]) == (4_000, 10_000)
    assert _values.whole_text(_values.follow(value, shown["log"]["path"])) == "x" * 10_000


def test_what_is_left_out_of_a_large_value_is_counted_and_can_be_asked_for():
    value = [{"result": [{"n": n} for n in range(5_000)]}]
    shown = _values.presentable(value[0]["result"], [0, "result"])
    assert shown[-1] == {"__peek__": "rest", "count": 4_900, "path": [0, "result"]}
    assert json.loads(_values.whole_text(_values.follow(value, shown[-1]["path"]))) == value[0]["result"]


def test_a_value_of_ten_megabytes_travels_as_a_small_part():
    value = {f"key {n}": ["y" * 1_000] * 100 for n in range(100)}
    assert len(json.dumps(_values.presentable(value, []))) < 1_000_000


def test_a_deeply_nested_value_is_shown_to_a_depth():
    value = deep = []
    for _ in range(300):
        deep.append([])
        deep = deep[0]
    shown = json.dumps(_values.presentable(value, []))
    assert '"rest"' in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**53, 2**53),
        (2**60, {"__peek__": "int", "value": str(2**60)}),
        (float("nan"), {"__peek__": "float", "value": "nan"}),
        (b"\x00a", {"__peek__": "bytes", "value": "b'\\x00a'", "length": 2}),
        ({1: "a"}, {"__peek__": "dict", "value": [[1, "a"]]}),
        ({"__peek__": "int"}, {"__peek__": "dict", "value": [["__peek__", "int"]]}),
        ((1, None), [1, None]),
    ],
)
def test_what_javascript_cannot_read_exactly_is_tagged(value, shown):
    assert _values.presentable(value, []) == shown


def test_a_huge_integer_is_cut_like_a_long_text():
    shown = _values.presentable(1 << 1_000_000, [0, "n"])
    assert shown["__peek__"] == "long"
    assert shown["length"] > 200_000


def test_objects_and_cut_payloads_say_what_they_are():
    whole, cut = Repr("<Client>"), Cut("beginning")
    whole.type, cut.bytes = "openai.Client", 5_000
    assert _values.presentable(whole, []) == {"__peek__": "repr", "value": "<Client>", "type": "openai.Client"}
    assert _values.presentable(cut, []) == {"__peek__": "cut", "value": "beginning", "bytes": 5_000}


@pytest.mark.parametrize("path", [[5], [0, "no such field"], [0, "a", 0], [0, "a", "b", "c"], [None], [{}]])
def test_a_path_that_leads_nowhere_is_answered_with_a_sentence(path):
    with pytest.raises(PeekError, match="refresh the tree"):
        _values.follow([{"a": "text"}], path)


def request(messages):
    return LLMRequest(id="1", session_id="s", position=1, name="m", messages=messages)


def answered(**fields):
    return LLMResponse(id="2", session_id="s", position=2, name="m", **fields)


def test_a_chat_reads_as_turns_with_tool_calls_and_marks_what_is_new():
    call = {"id": "c", "type": "function", "function": {"name": "find", "arguments": '{"order": 7}'}}
    turns = conversation(
        request(
            [
                {"role": "system", "content": "Be kind."},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "Where is"}, {"type": "image_url", "image_url": "x"}],
                },
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "found"},
            ]
        ),
        answered(content="It is here.", thinking="easy"),
    )
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "tool", "assistant"]
    assert turns[1]["text"] == "Where is\n[image]"
    assert turns[2]["tool_calls"] == [{"name": "find", "arguments": {"order": 7}, "call_id": "c"}]
    assert [turn.get("new", False) for turn in turns] == [False, False, False, True, True]
    assert turns[4]["thinking"] == {"text": "easy"}


def test_the_parts_of_gemini_read_as_turns_too():
    contents = [
        {"role": "system", "parts": [{"text": "Be kind."}]},
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "I look."},
                                    {"functionCall": {"name": "look", "args": {"at": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": "found"}}]},
    ]  # fmt: skip
    turns = conversation(request(contents), answered(content="Here."))
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "tool", "assistant"]
    assert (turns[2]["text"], turns[2]["thinking"]) == ("I look.", {"text": "hm"})
    assert turns[2]["tool_calls"] == [{"name": "look", "arguments": {"at": 1}}]
    assert "found" in turns[3]["text"]


def test_content_blocks_and_items_of_other_providers_read_as_turns_too():
    turns = conversation(
        request(
            [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm"},
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "seen"}]}
                    ],
                },
                {"type": "function_call", "call_id": "f", "name": "go", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "f", "output": "gone"},
                "a bare text",
            ]
        ),
        None,
    )
    assert [(turn["role"], turn["text"]) for turn in turns] == [
        ("user", "hi"),
        ("assistant", "I look."),
        ("tool", "seen"),
        ("assistant", ""),
        ("tool", "gone"),
        ("user", "a bare text"),
    ]
    assert turns[1]["thinking"] == {"text": "hm"}
    assert turns[1]["tool_calls"] == [{"name": "look", "arguments": {"at": 1}, "call_id": "t"}]
    assert turns[3]["tool_calls"] == [{"name": "go", "arguments": {}, "call_id": "f"}]


def test_every_path_in_a_conversation_leads_to_what_was_cut():
    long = "z" * 5_000
    asked = request(
        [
            {"role": "user", "content": long},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "c", "function": {"name": "f", "arguments": json.dumps({"body": long})}},
                ],
            },
        ]
    )
    said = answered(content=long, thinking=long, tool_calls=[{"name": "g", "arguments": {"deep": [long]}}])
    turns = conversation(asked, said)
    values = [asked.to_dict(), said.to_dict()]
    cut = [
        turns[0],
        turns[2],
        turns[2]["thinking"],
        turns[1]["tool_calls"][0]["arguments"]["body"],
        turns[2]["tool_calls"][0]["arguments"]["deep"][0],
    ]
    assert [_values.whole_text(_values.follow(values, one["path"])) for one in cut] == [long] * 5


def test_of_a_long_conversation_the_middle_is_left_out_and_can_be_asked_for():
    asked = request([{"role": "user", "content": str(n)} for n in range(1_000)])
    turns = conversation(asked, None)
    [omitted] = [turn for turn in turns if turn["role"] == "omitted"]
    assert len(turns) < 100
    assert turns[-1]["text"] == "999"
    assert omitted["text"] == "940 earlier messages"
    assert '"500"' in _values.whole_text(_values.follow([asked.to_dict()], omitted["path"]))


@pytest.mark.parametrize("messages", [None, [], [None, 3, {}, {"content": [None, 1]}, {"tool_calls": "no", "role": 7}]])
def test_malformed_messages_still_read(messages):
    assert isinstance(conversation(request(messages), answered(content={"odd": 1}, tool_calls=[None, "x"])), list)


def test_the_preview_of_a_tool_says_which_server_it_ran_on():
    call, answer = example_events()[4]
    before = _previews.preview([call, answer])
    answer.data = {"server": "almanac"}
    assert _previews.preview([call, answer]) == f"@almanac {before}"


def details(*events):
    [step] = _outline.known(steps_frame([list(events)]), [0])
    return _details.details(0, step, events)


@pytest.mark.parametrize("result", ["booker", "Over to you."])
def test_a_handoff_says_to_whom(result):
    call, answer = example_events()[4]
    call.arguments, answer.error, answer.result = {}, None, result
    call.metadata = answer.metadata = {"handoff": {"from": "triage", "to": "booker"}}
    assert _previews.preview([call, answer]) == ("⇒ booker" if result == "booker" else "⇒ booker · Over to you.")
    shown = details(call, answer)
    assert ["Hands over", "triage → booker"] in shown["facts"]
    assert "Metadata" not in [section["title"] for section in shown["sections"]]


@pytest.mark.parametrize("handoff", [7, {}, {"to": None}, {"from": [1], "to": {"x": 2}}])
def test_a_handoff_of_any_form_can_be_shown(handoff):
    call, answer = example_events()[4]
    call.metadata = {"handoff": handoff}
    assert _previews.preview([call, answer])
    assert details(call, answer)["facts"]


def test_what_a_model_of_gemini_is_asked_is_in_the_preview():
    asked = request([{"role": "user", "parts": [{"text": "What is it?"}]}])
    assert _previews.preview([asked]) == "What is it?"


def test_what_goes_without_saying_is_no_fact():
    asked, said = request([]), answered(content="Hi", complete=True)
    asked.stream, asked.model = False, asked.name
    labels = [label for label, _ in details(asked, said)["facts"]]
    assert not {"Stream", "Complete", "Model"} & set(labels)
    asked.stream, said.complete, said.model = True, False, "another"
    labels = [label for label, _ in details(asked, said)["facts"]]
    assert {"Stream", "Complete", "Model"} <= set(labels)


def test_what_both_events_of_a_step_say_is_shown_once():
    call, answer = example_events()[4]
    call.data = answer.data = {"server": "almanac"}
    titles = [section["title"] for section in details(call, answer)["sections"]]
    assert titles.count("Data") == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            {"messages": [{"role": "user", "content": "Hi"}, {"type": "ai", "content": "Hello."}], "step": 2},
            "Hello. · step=2",
        ),
        ([{"source": "user", "content": "Rome?"}], "Rome?"),
        ({"messages": [{"content": "", "tool_calls": [{"name": "add", "args": {"a": 3}}]}]}, "add(a=3)"),
        ({"messages": "none"}, "messages=none"),
        ({"messages": [{"content": [None, 1], "tool_calls": 7}]}, "[part] [part]"),
        ({"city": "Rome"}, "city=Rome"),
        ({"city": "Rome", "notes": [{"a": 1}, {"b": 2}]}, "city=Rome, notes=[2 items]"),
        (
            {"city": "Rome", "__interrupt__": [{"id": "a7", "value": {"question": "Really?"}}]},
            "waits for question=Really?",
        ),
        ({"__interrupt__": ["really", None]}, "waits for really"),
    ],
)
def test_the_preview_of_an_agent_is_the_last_message_of_its_conversation(value, shown):
    start = AgentStart(id="1", session_id="s", position=1, name="agent", input=value)
    end = AgentEnd(id="2", session_id="s", position=2, name="agent", output=value)
    assert _previews.preview([start, end]) == f"{shown} → {shown}"


def test_previews_are_short_for_the_largest_payload():
    steps = example_events()
    steps[4][1].result = {"log": "y" * 10_000_000, "rows": list(range(100_000))}
    assert len(_previews.preview(steps[4])) <= 120


@pytest.mark.parametrize("result", [None, {}, [], ""])
def test_the_preview_of_a_tool_that_returned_nothing_says_so(result):
    call, answer = example_events()[4]
    answer.result = result
    assert _previews.preview([call, answer]).endswith(f" → {result!r}")


def test_the_outline_has_at_most_40_lines_and_always_the_failed_ones():
    frame = large_frame(5_000).assign(failed=lambda f: f.index.isin([50, 2_000, 4_998]))
    rows = _outline.shown_rows(np.flatnonzero(frame["failed"]), [], len(frame))
    lines = _outline.outline(frame, rows, [""] * len(rows))
    assert len(lines) <= _outline.ROWS
    assert {50, 2_000, 4_998} <= set(rows)
    assert sum(line.get("gap", 1) for line in lines) == 5_000
    assert sum(line["failed"] for line in lines) == 3


def test_the_outline_counts_the_failures_that_do_not_fit():
    frame = large_frame(5_000).assign(failed=True)
    rows = _outline.shown_rows(range(5_000), [], 5_000)
    lines = _outline.outline(frame, rows, [""] * len(rows))
    assert len(lines) <= _outline.ROWS
    assert sum(line["failed"] for line in lines) == 5_000


def test_the_title_says_at_least_when_a_call_has_no_price():
    steps = steps_frame(example_events())
    steps.loc[len(steps)] = steps.loc[1].to_dict() | {"cost_usd": float("nan")}
    assert _outline.title("run", "completed", None, steps)["facts"][-1] == "at least $0.0012"


def test_the_saved_table_escapes_every_text_and_holds_nothing_that_could_run():
    steps = example_events()
    for events in steps:
        for event in events:
            event.name = event.agent = HOSTILE
    steps[3][1].error = HOSTILE
    frame = steps_frame(steps).assign(suspect=HOSTILE)
    lines = _outline.outline(frame, list(range(len(frame))), [_previews.preview(step) for step in steps])
    html = _fallback.table(_outline.title(HOSTILE, "failed", None, frame), lines)
    assert "<script" not in html
    assert "<img" not in html
    assert not set(html) & {"\x00", "\x1b", "\u202e", "\udc80"}
    html.encode()


@pytest.mark.parametrize("kind", EventType)
def test_no_field_of_any_event_reaches_the_browser_with_text_that_acts_unseen(kind):
    nested = {HOSTILE: [HOSTILE], "role": HOSTILE, "name": HOSTILE, "id": HOSTILE, "arguments": HOSTILE}
    cls = EVENT_CLASSES[kind]
    fields = dict.fromkeys(cls.typed_fields, HOSTILE)
    lists = {"messages", "tool_calls", "tools", "alternatives", "evidence", "evidence_event_ids", "related_event_ids"}
    fields |= {name: [nested, HOSTILE] for name in lists & fields.keys()}
    fields |= {name: None for name in ("usage", "cost_usd", "time_to_first_token_ms") if name in fields}
    event = cls(
        id="1", session_id="s", position=1, name=HOSTILE, agent=HOSTILE, data=nested, metadata=nested,
        importance=0.5, status=HOSTILE, upstream_event_ids=[HOSTILE], **fields,
    )  # fmt: skip
    frame = steps_frame([[event]]).assign(suspect=HOSTILE)
    [step] = _outline.known(frame, [0])
    shown = json.dumps([_details.details(0, step, [event]), _previews.preview([event])], ensure_ascii=False)
    assert not set(shown) & {"\x1b", "\u202e", "\udc80"}
    assert "\\u0000" not in shown
    assert "\\u202eevil" in shown


def test_the_saved_table_marks_failed_and_suspect_in_words():
    written = golden()
    html = _fallback.table(written["title"], written["outline"])
    assert "✕ failed" in html
    assert "? empty result" in html
    assert "refund_agent" in html
