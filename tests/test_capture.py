"""Recording: sessions, spans, verbs, tools and model calls, as a user would write them."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import pytest

import peaky_peek as pp
from peaky_peek.capture import faults
from peaky_peek.events import EVENT_CLASSES, Event, EventType
from peaky_peek.store import Database
from tests.planted import JWT, rand

VERBS: dict[str, dict[str, Any]] = {
    "decision": {
        "reasoning": "r", "confidence": 0.25, "chosen_action": "go", "alternatives": ["stay"],
        "evidence": [1],
    },
    "tool_call": {"tool_name": "t", "arguments": {"a": 1}, "call_id": "c"},
    "tool_result": {"tool_name": "t", "result": [1], "call_id": "c"},
    "llm_request": {
        "provider": "p", "model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "t"}],
        "settings": {"temperature": 0}, "stream": False,
    },
    "llm_response": {
        "model": "m", "content": "hi", "thinking": "hm", "tool_calls": [{"name": "t"}], "finish_reason": "stop",
        "usage": {"input": 3, "output": 1}, "cost_usd": 0.5, "time_to_first_token_ms": 9.5, "complete": True,
    },
    "error": {"error_type": "ValueError", "error_message": "no", "stack_trace": "..."},
    "safety_check": {
        "policy_name": "p", "outcome": "block", "risk_level": "high", "rationale": "r", "blocked_action": "b",
        "evidence": [1],
    },
    "refusal": {
        "reason": "r", "policy_name": "p", "risk_level": "low", "blocked_action": "b", "safe_alternative": "s",
    },
    "policy_violation": {"policy_name": "p", "violation_type": "v", "severity": "critical", "details": {"a": 1}},
    "prompt_policy": {
        "template_id": "t", "policy_parameters": {"a": 1}, "speaker": "s", "state_summary": "u", "goal": "g",
    },
    "agent_turn": {"agent_id": "a", "speaker": "s", "turn_index": 3, "goal": "g", "content": "c"},
    "behavior_alert": {"alert_type": "a", "signal": "s", "severity": "medium", "related_event_ids": ["x"]},
    "repair_attempt": {
        "attempted_fix": "f", "validation_result": "v", "repair_outcome": "partial", "repair_sequence_id": "i",
        "repair_diff": "d",
    },
    "drift": {"description": "d", "original_value": 1, "restored_value": 2, "severity": "low"},
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_records_every_field_of_its_type(verb: str) -> None:
    fields = VERBS[verb]
    assert set(fields) >= set(EVENT_CLASSES[EventType(verb)].typed_fields) - {"evidence_event_ids", "error"}
    with pp.trace_session("verbs") as ctx:
        made = getattr(ctx, f"record_{verb}")(**fields, name="n", agent="a", metadata={"m": 1}, status="ok")
    back = pp.event(made.id)
    assert type(back) is type(made)
    assert {**back.typed()} == fields
    assert (back.name, back.agent, back.metadata, back.status) == ("n", "a", {"m": 1}, "ok")
    assert back.parent_id == pp.events("verbs").event_id[0]


def test_answers_recorded_one_by_one_are_paired_with_what_they_answer() -> None:
    with pp.trace_session("flat") as ctx:
        ctx.record_llm_request("m", [{"role": "user", "content": "hi"}])
        ctx.record_llm_response("m", "hello")
        first = ctx.record_tool_call("search", {"q": 1}, call_id="a")
        second = ctx.record_tool_call("search", {"q": 2}, call_id="b")
        ctx.record_tool_result("search", [1], call_id="a")
        ctx.record_tool_result("search", [2])
        ctx.record_tool_result("other", [3])
    assert pp.llm_calls("flat").status.tolist() == ["ok"]
    assert pp.llm_calls("flat").duration.notna().all()
    calls = pp.tool_calls("flat")
    assert calls.result.tolist() == [[1], [2], [3]]
    assert calls.event_id.tolist()[:2] == [first.id, second.id]
    assert calls.duration.notna().tolist() == [True, True, False]


def test_what_the_caller_gives_is_kept() -> None:
    when = dt.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    with pp.trace_session("given") as ctx:
        cause = ctx.record_prompt_policy("t")
        ctx.record_decision(
            "r", importance=0.01, id="my-id", timestamp=when, upstream_event_ids=[cause], parent_id=cause
        )
    event = pp.event("my-id")
    assert (event.importance, event.timestamp, event.upstream_event_ids) == (0.01, when, [cause.id])
    assert event.parent_id == cause.id


async def test_every_verb_may_be_awaited_or_not_and_gathered() -> None:
    async with pp.trace_session("awaited") as ctx:
        first = await ctx.record_decision("one")
        both = await asyncio.gather(ctx.record_decision("two"), ctx.record_decision("three"))
        ctx.record_decision("four", upstream_event_ids=both)
    assert isinstance(first, Event)
    assert len({first, *both}) == 3
    assert pp.events("awaited").event_type.tolist().count("decision") == 4
    assert pp.decisions("awaited").reasoning.tolist() == ["one", "two", "three", "four"]


def test_sync_functions_and_tools_are_recorded_with_inputs_outputs_and_source() -> None:
    @pp.tool
    def add(a: int, b: int = 2) -> int:
        return a + b

    @pp.trace(name="adder", framework="none", task="sums", version="v1", tags=["demo"])
    def agent(question: str) -> int:
        return add(1) + add(2, b=5)

    assert agent("how much?") == 10
    (session,) = pp.sessions().itertuples()
    assert (session.name, session.framework, session.task, session.version) == ("adder", "none", "sums", "v1")
    assert list(session.tags) == ["demo"]
    assert (session.status, session.tool_calls, session.errors) == ("completed", 2, 0)
    assert pp.tool_calls("adder")[["tool_name", "arguments", "result", "status"]].to_numpy().tolist() == [
        ["add", {"a": 1}, 3, "ok"],
        ["add", {"a": 2, "b": 5}, 7, "ok"],
    ]
    start, end = (pp.events("adder", types=kind, data=True).data[0] for kind in ("agent_start", "agent_end"))
    assert start["input"] == {"question": "how much?"}
    assert "def agent(question: str)" in start["code"]
    assert end["output"] == 10
    assert pp.tool_calls("adder").duration.notna().all()


def test_arguments_are_recorded_by_name_however_they_are_passed() -> None:
    @pp.tool
    def plain(a, b=2, *, c=3): ...

    @pp.tool
    def open_ended(first, *rest, **named): ...

    class Owner:
        @pp.tool
        def method(self, a): ...

    with pp.trace_session("arguments"):
        plain(1)
        plain(b=1, a=0, c=5)
        open_ended(1, 2, 3, x=4)
        open_ended(first=1, x=4)
        Owner().method("mine")
        with pytest.raises(TypeError):
            plain()
    assert pp.tool_calls("arguments").arguments.tolist() == [
        {"a": 1}, {"b": 1, "a": 0, "c": 5}, {"first": 1, "rest": [2, 3], "named": {"x": 4}},
        {"first": 1, "named": {"x": 4}}, {"a": "mine"}, {},
    ]  # fmt: skip


@pytest.mark.parametrize("nested", [False, True])
def test_an_exception_is_recorded_once_fails_the_session_and_reaches_the_caller(nested: bool) -> None:
    class Odd(Exception):
        pass

    @pp.trace
    def inner() -> None:
        raise Odd("it broke")

    @pp.trace
    def outer() -> None:
        inner()

    with pytest.raises(Odd) as raised:
        (outer if nested else inner)()
    assert raised.value.args == ("it broke",)
    assert not getattr(raised.value, "__notes__", [])
    (error,) = pp.events(types="error", data=True).itertuples()
    assert error.error_type.endswith("Odd")
    assert error.data["error_message"] == "it broke"
    assert "raise Odd" in error.data["stack_trace"]
    assert pp.sessions().status.tolist() == ["failed"]
    assert pp.events(types="agent_end").status.tolist() == ["error"] * (1 + nested)


async def test_exceptions_that_are_raised_side_by_side_are_recorded_once_each() -> None:
    @pp.trace
    async def inner(number: int) -> None:
        await asyncio.sleep(0)
        raise ValueError(number)

    @pp.trace
    async def outer() -> None:
        await asyncio.gather(inner(1), inner(2))

    with pytest.raises(ValueError, match="1"):
        await outer()
    assert [data["error_message"] for data in pp.events(types="error", data=True).data] == ["1", "2"]


def test_a_failing_tool_is_a_failed_result_and_a_handled_one_does_not_fail_the_session() -> None:
    @pp.tool
    def search(query: str) -> str:
        raise TimeoutError("too slow")

    @pp.trace
    def agent() -> str:
        try:
            return search("x")
        except TimeoutError:
            return "gave up"

    assert agent() == "gave up"
    (call,) = pp.tool_calls().itertuples()
    assert (call.status, call.error) == ("error", "TimeoutError: too slow")
    session = pp.sessions().iloc[0]
    assert (session.status, session.errors) == ("completed", 1)


async def test_async_functions_are_recorded_and_cancelled_ones_are_interrupted() -> None:
    @pp.trace
    async def agent(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    assert await agent(0) == "done"
    task = asyncio.create_task(agent(60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pp.sessions().status.tolist() == ["completed", "interrupted"]
    assert pp.sessions().errors.tolist() == [0, 0]


def test_generators_are_recorded_and_their_consumers_are_not_inside() -> None:
    @pp.tool
    def note(what: str) -> str:
        return what

    @pp.trace
    def agent() -> Any:
        note("first")
        received = yield 1
        note(f"got {received}")
        try:
            yield 2
        except KeyError:
            note("caught")
        return "end"

    with pp.trace_session("consumer") as ctx:
        generator = agent()
        assert next(generator) == 1
        ctx.record_decision("outside")
        assert generator.send("mail") == 2
        with pytest.raises(StopIteration) as stop:
            generator.throw(KeyError)
        assert stop.value.value == "end"
    frame = pp.events("consumer")
    span = frame.event_id[(frame.event_type == "agent_start") & (frame.name == "agent")].item()
    tools = frame[frame.event_type == "tool_call"]
    assert tools.parent_id.tolist() == [span] * 3
    assert frame.parent_id[frame.event_type == "decision"].item() == frame.event_id[0]


async def test_async_generators_are_recorded_and_may_be_left_half_consumed() -> None:
    @pp.tool
    async def step(number: int) -> int:
        return number

    @pp.trace
    async def agent() -> Any:
        try:
            for number in range(10):
                yield await step(number)
        finally:
            await step(-1)

    generator = agent()
    assert [await anext(generator), await anext(generator)] == [0, 1]
    await generator.aclose()
    calls = pp.tool_calls("agent")
    assert [arguments["number"] for arguments in calls.arguments] == [0, 1, -1]
    assert pp.sessions().status.tolist() == ["completed"]
    assert pp.events("agent", types="agent_end", data=True).data[0]["output"] == [0, 1]


def test_llm_records_a_client_that_nobody_knows() -> None:
    @pp.llm(model="home-made", provider="me")
    def complete(prompt: str, temperature: float = 0) -> Any:
        if prompt == "fail":
            raise ConnectionError("down")
        return {
            "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 1},
        }

    with pp.trace_session("homemade"):
        complete("6 * 7?", temperature=1)
        with pytest.raises(ConnectionError):
            complete("fail")
    calls = pp.llm_calls("homemade")
    assert calls.model.tolist() == ["home-made", "home-made"]
    assert calls.status.tolist() == ["ok", "error"]
    assert calls.input_tokens.tolist()[0] == 7
    assert calls.cost_usd.isna().all()
    assert pp.sessions().errors.item() == 1


def test_a_span_inside_a_session_is_part_of_it_and_new_session_is_not() -> None:
    with pp.trace_session("outer") as outer:
        with pp.trace_session("span") as span:
            assert span.session_id == outer.session_id
        with pp.trace_session("nested", new_session=True) as nested:
            nested.record_decision("inside")
    sessions = pp.sessions().set_index("name")
    assert sessions.loc["nested", "parent_session_id"] == outer.session_id
    assert sessions.loc["nested", "root_session_id"] == outer.session_id
    assert len(sessions) == 2
    assert pp.events("outer").name.tolist().count("span") == 2


def test_a_session_id_that_exists_gets_a_new_run_unless_resumed() -> None:
    for _ in range(3):
        with pp.trace_session("run", session_id="demo"):
            pass
    assert pp.sessions().session_id.tolist() == ["demo", "demo#2", "demo#3"]
    with pp.trace_session("run", session_id="demo", resume=True) as ctx:
        ctx.record_decision("again")
    assert pp.sessions().events.tolist() == [5, 2, 2]


def test_start_session_spans_what_follows_until_its_end() -> None:
    session = pp.start_session("chat", thread="t1")
    with pp.trace_session("turn") as turn:
        assert turn.session_id == session.session_id
    assert pp.sessions().status.tolist() == ["running"]
    session.end()
    assert pp.sessions().status.tolist() == ["completed"]
    assert pp.sessions().thread.tolist() == ["t1"]


def test_events_outside_any_session_join_the_only_open_one_else_one_named_after_the_script() -> None:
    @pp.tool
    def lonely() -> int:
        return 1

    lonely()
    (implicit,) = pp.sessions().itertuples()
    assert implicit.events == 2
    event = pp.event(pp.events().event_id[0])
    assert event.metadata == {"context": "inferred"}
    assert implicit.name != ""


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": "c0ffee"},
        {"HEAD": "ref: refs/heads/main", "refs/heads/main": "c0ffee"},
        {"HEAD": "ref: refs/heads/main", "packed-refs": "# pack-refs\nfade refs/heads/old\nc0ffee refs/heads/main"},
    ],
    ids=["detached", "branch", "packed"],
)
def test_a_session_says_which_commit_its_folder_is_at(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ".git" / name).write_text(f"{text}\n")
    (tmp_path / "agents").mkdir()
    monkeypatch.chdir(tmp_path / "agents")
    with pp.trace_session("versioned"):
        pass
    assert pp.session().git_commit == "c0ffee"


def test_outcomes_and_labels() -> None:
    for name in ("a", "b"):
        with pp.trace_session(name) as ctx:
            ctx.outcome("fail", score=0.2, note="wrong refund")
    assert pp.label("a", outcome="pass", tags=["checked"]) == 1
    frame = pp.sessions().set_index("name")
    assert frame.loc["a", ["outcome", "score", "note"]].tolist() == ["pass", 0.2, "wrong refund"]
    assert list(frame.loc["a", "tags"]) == ["checked"]
    assert frame.loc["b", "outcome"] == "fail"
    assert pp.label(pp.sessions(), outcome="pass") == 2
    assert pp.sessions().outcome.tolist() == ["pass", "pass"]


def test_checkpoints_keep_their_state() -> None:
    with pp.trace_session("checkpoints") as ctx:
        made = ctx.checkpoint({"step": 3}, label="before booking", memory=["x"])
        ctx.create_checkpoint(state={"step": 4}, importance=0.9)
    assert pp.event(made).typed() == {"label": "before booking", "state": {"step": 3}, "memory": ["x"]}
    assert pp.events(types="checkpoint").importance.tolist() == [0.6, 0.9]


def test_a_paused_recording_records_nothing_and_changes_nothing() -> None:
    with pp.pause(), pp.trace_session("quiet") as ctx:
        assert ctx.record_decision("not written").reasoning == "not written"
    assert pp.sessions().empty


def test_sampling_keeps_whole_sessions_or_none(store: Database) -> None:
    pp.init(db=store.path, sample=0.5)
    for _ in range(40):
        with pp.trace_session("sampled") as ctx:
            ctx.record_decision("x")
    kept = pp.sessions()
    assert 5 < len(kept) < 35
    assert (kept.events == 3).all()
    with pytest.raises(ValueError, match="from 0 to 1"):
        pp.init(sample=2)
    with pytest.raises(ValueError, match=r'^redact is "secrets"'):
        pp.init(redact="secret")  # type: ignore[arg-type]


def test_a_payload_limit_cuts_and_marks(store: Database) -> None:
    pp.init(db=store.path, max_payload_kb=1)
    with pp.trace_session("cut") as ctx:
        event = ctx.record_tool_result("read", result="x" * 5000)
    back = pp.event(event.id)
    assert back.result.bytes == 5002
    assert len(back.result) == 1024


def test_a_conversation_sent_again_is_stored_once(store: Database) -> None:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "be brief " * 100}]
    sizes = []
    with pp.trace_session("chat") as ctx:
        for turn in range(100):
            messages.append({"role": "user", "content": f"question {turn} " + "x" * 200})
            ctx.record_llm_request("m", messages)
            ctx.record_llm_response("m", "answer")
            messages.append({"role": "assistant", "content": "answer", "tool_calls": [{"id": str(turn)}]})
            if turn in (49, 99):
                pp.sessions()
                sizes.append(store.connection().execute("SELECT sum(length(payload)) FROM events").fetchone()[0])
    assert sizes[1] / sizes[0] < 2.1
    last = pp.events("chat", types="llm_request").event_id.iloc[-1]
    assert pp.event(last).messages == messages[:-1]


@pytest.mark.parametrize("secret", ["sk-proj-" + rand(60), JWT, "ghp_" + rand(36), "Bearer " + rand(30)])
def test_secrets_do_not_reach_the_disk(store: Database, secret: str) -> None:
    with pp.trace_session("leaky") as ctx:
        ctx.record_tool_result("env", result={"deep": [f"here: {secret}"]}, name=secret)
        ctx.record_error("Leak", f"token {secret}", stack_trace=secret)
        kept = secret.rpartition(" ")[2].encode()
        for path in store.path.parent.rglob("*"):
            assert not path.is_file() or kept not in path.read_bytes()
    pp.uninstall()
    assert all(kept not in path.read_bytes() for path in store.path.parent.rglob("*") if path.is_file())


def test_pauses_may_overlap() -> None:
    first, second = pp.pause(), pp.pause()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not pp.status()["recording"]
    second.__exit__(None, None, None)
    assert pp.status()["recording"]


def test_a_resumed_session_keeps_its_beginning_and_has_no_end_yet() -> None:
    with pp.trace_session("run", session_id="demo"):
        pass
    began = pp.sessions().started_at[0]
    with pp.trace_session("run", session_id="demo", resume=True):
        assert pp.sessions().started_at[0] == began
        assert pp.sessions().ended_at.isna().all()
    assert pp.sessions().duration[0] >= pp.sessions().ended_at[0] - began


def test_sessions_begin_with_any_id_and_tags_and_without_a_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    given = uuid.UUID(int=7)
    with pp.trace_session("a", session_id=given, tags="one") as ctx:  # type: ignore[arg-type]
        assert ctx.session_id == str(given)
    with pp.trace_session("b", tags=None):
        pass
    monkeypatch.undo()
    assert [list(tags) for tags in pp.sessions().tags] == [["one"], []]


def test_a_context_that_is_used_again_leaves_the_session_around_it_open() -> None:
    ctx = pp.trace_session("again")
    with ctx:
        pass
    with pp.trace_session("outer"):
        with ctx:
            pass
        assert pp.sessions().status.tolist() == ["completed", "running"]


def test_a_request_repeats_only_what_was_written_whole(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from peaky_peek.capture.recorder import recorder

    messages = [{"role": "user", "content": "question"}]
    with pp.trace_session("lossy") as ctx:
        ctx.record_llm_request("m", messages)
        messages.append({"role": "user", "content": "lost"})
        with monkeypatch.context() as broken:
            broken.setattr(faults, "strict", False)
            broken.setattr(recorder()._journal, "append", lambda _: 1 / 0)
            ctx.record_llm_request("m", messages)
        messages.append({"role": "user", "content": "kept"})
        last = ctx.record_llm_request("m", messages)
    assert pp.event(last).messages == messages
    pp.init(db=store.path, max_payload_kb=1)
    messages = [{"role": "user", "content": "long " * 1000}]
    with pp.trace_session("cut") as ctx:
        ctx.record_llm_request("m", messages)
        last = ctx.record_llm_request("m", [*messages, {"role": "user", "content": "more"}])
    assert pp.event(last).messages.bytes > 5000


def test_open_sessions_outlive_new_settings_and_move_to_a_new_store(store: Database) -> None:
    session = pp.start_session("chat", task="talk")
    session.record_decision("one")
    pp.init(db=store.path, max_payload_kb=9)
    assert pp.sessions().status.tolist() == ["running"]
    pp.init(db=store.path.with_name("other.db"))
    session.record_decision("two")
    assert pp.sessions()[["name", "task", "status", "events"]].to_numpy().tolist() == [["chat", "talk", "running", 1]]
    session.end()
    assert pp.sessions().status.tolist() == ["completed"]
    pp.init(db=store.path)
    assert pp.sessions()[["name", "status", "events"]].to_numpy().tolist() == [["chat", "interrupted", 2]]


@pytest.mark.parametrize(
    "change",
    [
        lambda messages: messages[0].update(content="another"),
        lambda messages: messages[1]["tool_calls"][0].update(id="2"),
        lambda messages: messages[2].update(count=True),
        lambda messages: messages[2].update(extra=None),
        lambda messages: messages.pop(1),
        lambda messages: messages.insert(0, {"role": "system", "content": "new"}),
    ],
    ids=["text", "call", "number", "key", "gone", "before"],
)
def test_a_conversation_that_was_changed_on_the_way_is_recorded_as_it_was_sent(change: Any) -> None:
    messages: list[Any] = [
        {"role": "user", "content": "question"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "42", "count": 1},
    ]
    with pp.trace_session("chat") as ctx:
        ctx.record_llm_request("m", messages)
        change(messages)
        changed = ctx.record_llm_request("m", [*messages, {"role": "user", "content": "again"}])
        sent = [dict(message) for message in messages]
    assert pp.event(changed).messages == [*sent, {"role": "user", "content": "again"}]
    assert [type(m.get("count")) for m in pp.event(changed).messages[:-1]] == [type(m.get("count")) for m in sent]
