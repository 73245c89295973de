"""Chat transcripts become sessions: whole, linked, without anything invented, or not at all."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

import peaky_peek as pp
from peaky_peek.capture import recorder
from peaky_peek.errors import LoadError
from peaky_peek.events import AgentStart, AgentTurn, Decision, Error, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.interop.conversation import message_of
from peaky_peek.store import reader

DATA = Path(__file__).parent / "data"
TAU = Path(pp.__file__).parent / "demo" / "data" / "tau_retail_83.jsonl.gz"
AGENTDOJO = DATA / "agentdojo.jsonl"
MINI_SWE = DATA / "mini_swe_agent.json.gz"
WEATHER = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Will it rain in Berlin and Rome?"},
    {
        "role": "assistant",
        "content": "I look it up.",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Berlin"}'}},
            {"id": "b", "type": "function", "function": {"name": "weather", "arguments": "not json"}},
        ],
    },
    {"role": "tool", "tool_call_id": "b", "content": "Error: no such city"},
    {"role": "tool", "tool_call_id": "a", "content": "rain"},
    {"role": "assistant", "content": "Take an umbrella.", "annotations": [], "refusal": None},
]


def events(store, session):
    return list(reader.read_events(store, str(session)))


def of_type(found, kind):
    return [event for event in found if isinstance(event, kind)]


def runs_in(path):
    data = path.read_bytes()
    text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()
    return [json.loads(line) for line in text.splitlines()] if ".jsonl" in path.name else [json.loads(text)]


def messages_in(run):
    return run.get("messages") or run.get("trace", {}).get("traj") or run["trace"]["messages"]


def test_a_conversation_becomes_one_session(store):
    run = pp.load(WEATHER, name="weather", task="umbrella", outcome="pass", tags=["old"])
    assert (run.name, run.task, run.outcome, run.tags, run.status) == (
        "weather",
        "umbrella",
        "pass",
        ["old"],
        "completed",
    )
    assert (run.llm_calls, run.tool_calls, run.errors) == (2, 2, 1)
    assert (run.input, run.output) == ("Will it rain in Berlin and Rome?", "Take an umbrella.")
    assert pp.session().session_id == run.session_id


def test_the_tree_is_that_of_a_recorded_run(store):
    found = events(store, pp.load(WEATHER))
    start, first, second = *of_type(found, AgentStart), *of_type(found, LLMRequest)
    answers, calls, results = (of_type(found, kind) for kind in (LLMResponse, ToolCall, ToolResult))
    (decision,) = of_type(found, Decision)
    assert [answer.parent_id for answer in answers] == [first.id, second.id]
    assert {event.parent_id for event in (first, second, decision, *calls)} == {start.id}
    assert [(call.arguments, call.call_id) for call in calls] == [({"city": "Berlin"}, "a"), ("not json", "b")]
    assert [result.parent_id for result in results] == [calls[1].id, calls[0].id]
    assert [result.error for result in results] == ["Error: no such city", None]
    assert (decision.chosen_action, decision.reasoning) == ("weather, weather", "I look it up.")
    assert decision.metadata["derived"]
    assert second.upstream_event_ids == [result.id for result in results]
    assert calls[0].upstream_event_ids == [answers[0].id]
    assert [request.messages for request in (first, second)] == [WEATHER[:2], WEATHER[:5]]


def test_nothing_is_invented(store):
    run = pp.load(WEATHER)
    assert run.started_at is run.ended_at is run.duration is run.cost_usd is run.input_tokens is run.framework is None
    for event in events(store, run):
        assert event.time_us is event.duration_ms is None
        assert getattr(event, "model", None) is None
    assert pp.events(run)["timestamp"].isna().all()


@pytest.mark.parametrize("path", [TAU, AGENTDOJO, MINI_SWE], ids=lambda path: path.name)
def test_real_runs_come_back_message_by_message(store, path):
    frame = pp.load(path)
    for session_id, run in zip(frame["session_id"], runs_in(path), strict=True):
        found = events(store, session_id)
        messages = [message for event in found if (message := message_of(event)) is not None]
        assert messages == messages_in(run)
        assert [e.metadata["message_index"] for e in found if message_of(e)] == list(range(len(messages)))
        (start,) = of_type(found, AgentStart)
        assert start.data == without_messages(run)


def without_messages(run):
    if "messages" in run:
        return {key: value for key, value in run.items() if key != "messages"}
    return run | {"trace": {key: value for key, value in run["trace"].items() if key not in ("messages", "traj")}}


def test_every_tool_call_of_a_real_run_is_there_with_its_result(store):
    frame = pp.load(TAU)
    asked = [sum(len(m.get("tool_calls") or ()) for m in messages_in(run)) for run in runs_in(TAU)]
    assert frame["tool_calls"].tolist() == asked
    assert frame["outcome"].value_counts().to_dict() == {"pass": 2, "fail": 2}
    assert frame["task"].nunique() == 1
    calls = pp.tool_calls(list(frame["session_id"]))
    assert len(calls) == sum(asked)
    assert calls["result"].notna().all()
    assert calls["llm_call_id"].notna().all()


def test_a_result_that_the_transcript_calls_an_error_is_one(store):
    frame = pp.load(AGENTDOJO)
    said = [sum(bool(m.get("error")) for m in messages_in(run)) for run in runs_in(AGENTDOJO)]
    assert frame["errors"].tolist() == said
    assert sum(said) > 0


def test_a_shell_agents_bash_block_is_its_tool_call(store):
    (session_id,) = pp.load(MINI_SWE)["session_id"]
    found = events(store, session_id)
    calls, results = of_type(found, ToolCall), of_type(found, ToolResult)
    blocks = [m["content"].count("```bash") for m in messages_in(runs_in(MINI_SWE)[0]) if m["role"] == "assistant"]
    assert len(calls) == len(results) == blocks.count(1)  # an answer with two is turned away
    assert {call.tool_name for call in calls} == {"bash"}
    assert [result.parent_id for result in results] == [call.id for call in calls]
    failed = [result for result in results if not result.result.startswith(("<returncode>0", "diff"))]
    assert [result for result in results if result.failed] == failed != []
    assert len(of_type(found, AgentTurn)) == 1 + len(blocks) - blocks.count(1)
    run = pp.session(session_id)
    assert run.input_tokens > 0
    assert run.cost_usd == pytest.approx(
        runs_in(MINI_SWE)[0]["trace"]["info"]["model_stats"]["instance_cost"], rel=0.01
    )


def test_loading_again_finds_the_runs_that_are_there(store):
    first, again = pp.load(TAU), pp.load(TAU)
    assert again["session_id"].tolist() == first["session_id"].tolist()
    assert len(pp.sessions()) == len(first)
    assert pp.load(WEATHER).session_id == pp.load(WEATHER, name="another name").session_id


def test_equal_runs_in_one_source_are_different_runs(store):
    frame = pp.load([WEATHER, WEATHER])
    assert frame["session_id"].nunique() == 2
    assert pp.load([WEATHER, WEATHER])["session_id"].tolist() == frame["session_id"].tolist()


def test_a_different_run_with_a_known_id_is_a_new_session(store):
    ids = [pp.load({"id": "demo", "messages": WEATHER[:end]}).session_id for end in (2, 6, 2)]
    assert ids == ["demo", "demo#2", "demo"]


@pytest.mark.parametrize("key", ["messages", "traj", "trace", "history", "conversation"])
def test_a_run_may_be_an_object_around_its_messages(store, key):
    facts = {"id": "r1", "task": 7, "outcome": True, "reward": 0.5, "config": "v2", "extra": {"kept": [1]}}
    run = pp.load(facts | {key: WEATHER})
    assert (run.session_id, run.task, run.outcome, run.score, run.version) == ("r1", "7", "pass", 0.5, "v2")
    assert events(store, run)[0].data == facts
    nested = pp.load({"id": "r2", "run": {"model": "gpt-4o", key: WEATHER}})
    assert pp.llm_calls(nested)["model"].tolist() == ["gpt-4o", "gpt-4o"]


def test_files_may_be_json_or_json_lines_of_runs_or_messages(store, tmp_path):
    texts = {
        "messages.json": json.dumps(WEATHER),
        "pretty.json": json.dumps({"id": "x", "messages": WEATHER}, indent=2),
        "runs.json": json.dumps([WEATHER, {"messages": WEATHER[:2]}], indent=1),
        "runs.jsonl": "\n".join(json.dumps(run) for run in ([*WEATHER, WEATHER[1]], {"messages": WEATHER[:3]}))
        + "\n\n",
        "messages.jsonl": "\n".join(json.dumps(message) for message in WEATHER[1:]),
    }
    expected = {"messages.json": 1, "pretty.json": 1, "runs.json": 2, "runs.jsonl": 2, "messages.jsonl": 1}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert len(pp.load(tmp_path / name)) == expected[name]
    (tmp_path / "packed.gz").write_bytes(gzip.compress(texts["runs.json"].encode()))
    assert len(pp.load(str(tmp_path / "packed.gz"))) == 2


def test_client_objects_among_the_messages_are_read(store):
    from openai.types.chat import ChatCompletionMessage

    message = ChatCompletionMessage.model_validate(WEATHER[2])
    run = pp.load([*WEATHER[:2], message, *WEATHER[3:]])
    assert run.tool_calls == 2


def test_a_crash_of_the_harness_is_an_error_of_the_run(store):
    crash = {"messages": [], "error": "it broke", "traceback": "Traceback ...\nValueError: it broke"}
    run = pp.load(crash)
    assert (run.status, run.errors) == ("failed", 1)
    (error,) = of_type(events(store, run), Error)
    assert (error.error_type, error.error_message, error.stack_trace) == ("ValueError", "it broke", crash["traceback"])


def test_results_without_usable_ids_go_to_the_calls_in_order(store):
    def call(name, call_id):
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": {}}}

    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [call("a", ""), call("b", ""), call("b", "")]},
        {"role": "tool", "tool_call_id": "", "name": "b", "content": "1"},
        {"role": "tool", "tool_call_id": "", "content": "2"},
        {"role": "tool", "content": "3"},
        {"role": "tool", "tool_call_id": "z", "content": "4"},
    ]
    found = events(store, pp.load(messages))
    calls = {call.id: call for call in of_type(found, ToolCall)}
    names = [(calls[r.parent_id].name if r.parent_id in calls else None) for r in of_type(found, ToolResult)]
    assert names == ["b", "a", "b", None]


def test_secrets_are_redacted_as_in_recording(store):
    secret = "sk-" + "aB3dE5" * 8
    run = pp.load(
        [{"role": "user", "content": f"key {secret}"}, {"role": "assistant", "content": "ok", "token": secret}]
    )
    dump = "\n".join(store.connection().iterdump())
    assert secret not in dump
    assert re.match(r"key \[redacted:openai:[0-9a-f]{8}\]", run.input)


BAD = [
    ("", "is empty: expected a list of messages"),
    ("{", "line 1: expected JSON, but:"),
    ('[\n {"role": "user", "content": "a"},\n {"role": "user" "content": "b"}\n]', "line 3: expected JSON, but:"),
    ('[\n {"role": "user", "content": "a"},\n\n {"content": "b"}\n]', "line 4: message 2: expected `role`"),
    ('{"id": 1,\n "messages": [\n  {"role": "user"},\n  7]}', "line 4: message 2: expected an object, found 7."),
    ('[{"role": "user"}]\n{"messages": 3}', "line 2: expected a list of messages, or an object"),
    ('[{"role": "user"}]\n[1', "line 2: expected JSON, but:"),
    (
        '[{"role": "assistant", "tool_calls": [{"id": "a"}]}]',
        "line 1: message 1: expected `tool_calls[0].function`, which is missing.",
    ),
    ('[{"role": "user", "content": 5}]', "line 1: message 1: `content`: expected"),
    ('{"messages": [], "score": "high"}', "line 1: `score`: expected a valid number"),
    ("[]", "line 1: expected a list of messages"),
    ("12", "line 1: expected a list of messages, or an object with such a list under messages, traj"),
    ('{"role": "user", "content": "alone"}', "line 1: expected a list of messages"),
]


@pytest.mark.parametrize(("text", "expected"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_malformed_file_names_file_line_and_what_was_expected(store, tmp_path, text, expected):
    pp.load(WEATHER)
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(LoadError, match=re.escape(expected)) as caught:
        pp.load(tmp_path / "bad.json")
    assert str(caught.value).startswith("bad.json")
    assert "\n" not in str(caught.value)
    assert len(pp.sessions()) == 1


def test_what_cannot_be_read_at_all_is_said_too(store, tmp_path):
    (tmp_path / "text.json").write_bytes(b'["\xff"]')
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"[]" * 100)[:20])
    for path, expected in (
        ("text.json", "line 1: expected JSON in UTF"),
        ("cut.json.gz", "be read"),
        ("no", "No such"),
    ):
        with pytest.raises(LoadError, match=expected):
            pp.load(tmp_path / path)
    with pytest.raises(LoadError, match="What was given to load, item 2: message 1: expected `role`"):
        pp.load([WEATHER, [{"content": "?"}]])


def test_one_bad_run_among_many_changes_nothing(store, tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join([json.dumps(WEATHER)] * 5 + ['[{"role": 5}]']))
    with pytest.raises(LoadError, match=r"runs\.jsonl, line 6: message 1: `role`: expected a valid string, found 5"):
        pp.load(path)
    assert pp.sessions().empty


def test_without_redaction_nothing_is_touched(store):
    recorder.configure(redact=None)
    message = {"role": "user", "content": "password: hunter2!x"}
    assert pp.load([message]).input == message["content"]
