"""Restoring: state and conversation come back, a run continues from them, and says where it leaves the path."""

from __future__ import annotations

import asyncio
import threading
import warnings
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

import peaky_peek as pp
from peaky_peek.analysis.continuing import written
from peaky_peek.events import AgentStart, Checkpoint, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import Database
from tests.recordings import Run
from tests.refunds import Refund


@dataclass
class Item:
    name: str
    price: float


@dataclass
class Cart:
    items: list[Item]
    paid: bool = False


class Order(BaseModel):
    items: list[Item]
    paid: bool


CART = Cart([Item("lamp", 84.5)])


def shop(*, paid: bool = True, tool: str = "refund", words: str = "done") -> None:
    """A run without a framework that saves its cart, pays, and says so."""
    with pp.trace_session("shop", task="sell") as ctx:
        ctx.record_decision("the cart is full", chosen_action="pay")
        ctx.checkpoint(CART, label="before paying", memory={"tries": 1})
        steps(ctx, paid=paid, tool=tool, words=words)


def steps(ctx: Any, *, paid: bool = True, tool: str = "refund", words: str = "done") -> None:
    call = ctx.record_tool_call(tool, {"amount": 84.5})
    ctx.record_tool_result(tool, {"paid": paid}, parent_id=call)
    asked = ctx.record_llm_request("m", messages=[{"role": "user", "content": "and?"}])
    ctx.record_llm_response("m", content=words, parent_id=asked)


def test_the_state_comes_back_as_the_data_that_was_recorded(store: Database) -> None:
    shop()
    restored = pp.restore("shop")
    assert restored.state == {"items": [{"name": "lamp", "price": 84.5}], "paid": False}
    assert restored.memory == {"tries": 1}
    assert restored.event.name == "before paying"
    assert repr(restored) == "Restored('shop' at 'before paying': a state)"


def test_whatever_names_a_moment_can_be_restored(store: Database) -> None:
    shop()
    row = pp.checkpoints("shop").iloc[0]
    event = pp.event(row["event_id"])
    for ref in (event, event.id, row, "shop", pp.session("shop"), None):
        assert pp.restore(ref).event.id == event.id
    last = pp.events("shop").iloc[-1]
    assert pp.restore(last["event_id"]).state["paid"] is False
    with pytest.raises(pp.PeekError):
        pp.restore("nobody")


@pytest.mark.parametrize("kind", [Cart, Order])
def test_data_classes_and_models_are_made_again(store: Database, kind: type) -> None:
    shop()
    made = pp.restore("shop", as_=kind).state
    assert type(made) is kind
    assert made.items == [Item("lamp", 84.5)]
    assert pp.restore("shop", as_=dict[str, Any]).state["paid"] is False


def test_what_does_not_fit_is_named(store: Database) -> None:
    class Other(BaseModel):
        items: list[str]
        paid: bool

    @dataclass
    class Poorer:
        items: list[Item]

    shop()
    with pytest.raises(pp.NotRestorable, match=r"'before paying' does not fit Other: state.items.0: Input should be"):
        pp.restore("shop", as_=Other)
    with pytest.raises(pp.NotRestorable, match=r"does not fit Poorer, which would leave out state.paid"):
        pp.restore("shop", as_=Poorer)
    with pytest.raises(pp.NotRestorable, match="Nobody knows how to make a lock"):
        pp.restore("shop", as_=type(threading.Lock()))


def test_what_was_not_data_when_it_was_recorded_is_named_and_never_passed_off(store: Database) -> None:
    with pp.trace_session("lossy") as ctx:
        saved = ctx.checkpoint({"lock": threading.Lock(), "n": 1}, label="held")
    with pytest.warns(pp.PeekWarning, match=r"state.lock \(_thread.lock: only its repr was recorded\)"):
        restored = pp.restore(saved)
    assert restored.state["n"] == 1
    assert restored.lost == ["state.lock (_thread.lock: only its repr was recorded)"]
    with pytest.raises(pp.NotRestorable, match="cannot be made a dict again"):
        pp.restore(saved, as_=dict)


def test_where_nothing_was_saved_the_sentence_says_how_to(store: Database) -> None:
    with pp.trace_session("bare") as ctx:
        event = ctx.record_decision("go", chosen_action="go")
    for ref in ("bare", event):
        with pytest.raises(pp.NotRestorable, match=r"ctx.checkpoint\(state\)"):
            pp.restore(ref)


def chat(store: Database, provider: str | None = None, *, goes_on: bool = True) -> Run:
    """A question, an answer that calls two tools, their results with a checkpoint between, and the next request."""
    run = Run(f"chat-{provider}-{goes_on}")
    agent = run.add(AgentStart, "agent", agent="agent")
    messages: list[Any] = [{"role": "user", "content": "Where is my order?"}]
    asked = run.add(LLMRequest, "m", agent, agent="agent", model="m", provider=provider, messages=messages)
    wanted = [{"id": f"c{n}", "name": "look_up", "arguments": {"n": n}} for n in (1, 2)]
    run.add(LLMResponse, "m", asked, agent="agent", content="I look.", tool_calls=wanted)
    for call in wanted:
        about = {"agent": "agent", "tool_name": "look_up", "call_id": call["id"]}
        opened = run.add(ToolCall, "look_up", agent, arguments=call["arguments"], **about)
        run.add(ToolResult, "look_up", opened, result={"found": call["id"]}, **about)
        run.add(Checkpoint, call["id"], agent, agent="agent", label=call["id"], state={"last": call["id"]})
    if goes_on:
        sent = [
            *messages,
            {"role": "assistant", "content": "I look.", "tool_calls": [{"id": "c1"}, {"id": "c2"}], "native": True},
            *({"role": "tool", "tool_call_id": call["id"], "content": "native"} for call in wanted),
            {"role": "user", "content": "And the other one?"},
        ]
        run.add(LLMRequest, "m", agent, agent="agent", model="m", provider=provider, messages=sent)
    run.save(store)
    return run


def test_the_conversation_is_complete_or_goes_back_to_where_it_was(store: Database) -> None:
    run = chat(store)
    between, after = pp.checkpoints(run.session_id).query("not implicit")["event_id"]
    assert pp.restore(between).messages == [{"role": "user", "content": "Where is my order?"}]
    assert [message["role"] for message in pp.restore(after).messages] == ["user", "assistant", "tool", "tool"]
    assert pp.restore(after).messages[1]["native"]
    last = pp.checkpoints(run.session_id).iloc[-1]
    assert len(pp.restore(last).messages) == last["messages"] == 5


@pytest.mark.parametrize(
    ("provider", "answer", "result"),
    [
        ("openai", ["content", "role", "tool_calls"], {"role": "tool", "tool_call_id": "c2"}),
        ("anthropic", ["content", "role"], {"role": "user"}),
    ],
)
def test_without_a_later_request_the_answer_is_written_as_its_provider_takes_it(
    store: Database, provider: str, answer: list[str], result: dict[str, str]
) -> None:
    run = chat(store, provider, goes_on=False)
    restored = pp.restore(run.session_id)
    assert sorted(restored.messages[1]) == answer
    assert result.items() <= restored.messages[-1].items()
    assert restored.request["model"] == "m"


def test_messages_of_the_wire_come_back_as_they_were_sent_and_are_answered_again(store: Database) -> None:
    from peaky_peek.demo.script import call, in_turn, say
    from peaky_peek.demo.server import ModelServer

    script = in_turn(call("look_up", n=1), say("It is on its way."))
    with ModelServer({"shop": script}) as model, model.client("shop") as client:
        tools = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
        messages: list[Any] = [{"role": "user", "content": "Where is it?"}]
        with pp.trace_session("ask") as ctx:
            said = (
                client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=tools).choices[0].message
            )
            one = said.tool_calls[0]
            call_event = ctx.record_tool_call("look_up", {"n": 1}, call_id=one.id)
            ctx.record_tool_result("look_up", "shipped", call_id=one.id, parent_id=call_event)
            saved = ctx.checkpoint({"looked": True})
        restored = pp.restore(saved)
        again = client.chat.completions.create(**restored.request).choices[0].message
    assert again.content == "It is on its way."
    assert restored.messages == restored.request["messages"]
    assert restored.request["tools"] == tools


def test_a_run_continues_in_a_session_of_its_own_that_says_where_it_comes_from(store: Database) -> None:
    shop()
    original = pp.session("shop")
    with pp.restore("shop", as_=Cart) as ctx:
        assert ctx.state.items[0].name == "lamp"
        steps(ctx)
    again = pp.session(ctx)
    assert again.session_id != original.session_id
    assert (again.forked_from, again.name, again.task, again.status) == (
        original.session_id, "shop", "sell", "completed",
    )  # fmt: skip
    assert pp.events(again, types="drift").empty
    assert pp.drift(again).empty
    assert pp.session(original).events == original.events


@pytest.mark.parametrize(
    ("how", "severity", "description"),
    [
        ({"words": "all done"}, "low", "an answer says it in other words"),
        ({"paid": False}, "medium", "tool result refund: result.paid is False, it was True"),
        ({"tool": "voucher"}, "high", "tool call voucher where the original had tool call refund"),
    ],
)
def test_the_first_difference_is_recorded_as_drift(
    store: Database, how: dict[str, Any], severity: str, description: str
) -> None:
    shop()
    with pp.restore("shop") as ctx:
        steps(ctx, **how)
    [drift] = [pp.event(event_id) for event_id in pp.events(ctx, types="drift")["event_id"]]
    assert (drift.severity, drift.description) == (severity, description)
    assert drift.session_id == ctx.session_id
    frame = pp.drift(ctx)
    assert frame["description"].tolist() == [description]
    assert frame["severity"].tolist() == [severity]
    assert drift.upstream_event_ids == frame["event_id"].tolist()
    assert pp.event(frame["original_event_id"][0]).session_id == pp.session(ctx).forked_from


def test_drift_is_recorded_again_only_when_it_grows(store: Database) -> None:
    shop()
    with pp.restore("shop") as ctx:
        steps(ctx, paid=False, words="I could not")
        ctx.record_decision("anything", chosen_action="anything")
    assert pp.events(ctx, types="drift")["event_id"].size == 1
    assert pp.drift(ctx)["severity"].tolist() == ["medium", "low"]


def test_a_failure_where_there_was_none_is_another_path(store: Database) -> None:
    shop()
    with pp.restore("shop") as ctx:
        call = ctx.record_tool_call("refund", {"amount": 84.5})
        ctx.record_tool_result("refund", error="gateway timeout", parent_id=call)
    assert pp.drift(ctx)["description"].tolist() == [
        "failed tool result refund where the original had tool result refund"
    ]


def test_tools_that_run_side_by_side_may_do_so_in_any_order(store: Database) -> None:
    def work(ctx: Any, order: list[int]) -> None:
        calls = {n: ctx.record_tool_call("read", {"n": n}) for n in order}
        for n in reversed(order):
            ctx.record_tool_result("read", {"n": n}, parent_id=calls[n])
        ctx.record_decision("all is read", chosen_action="answer")

    with pp.trace_session("readers") as ctx:
        ctx.checkpoint({"n": 0})
        work(ctx, [1, 2, 3])
    with pp.restore("readers") as ctx:
        work(ctx, [3, 1, 2])
    assert pp.drift(ctx).empty


def test_it_works_in_async_code_and_an_exception_ends_it_as_failed(store: Database) -> None:
    shop()

    async def go_on() -> Any:
        async with pp.restore("shop") as ctx:
            await ctx.record_decision("other", chosen_action="other")
            raise RuntimeError("no more")
        return ctx

    with pytest.raises(RuntimeError, match="no more"):
        asyncio.run(go_on())
    assert pp.session("shop").status == "failed"
    assert len(pp.events("shop", types="drift")) == 1


def test_an_implicit_checkpoint_is_compared_from_its_answer_on(store: Database) -> None:
    Refund("refund").save(store)
    first = pp.checkpoints("refund").query("implicit").iloc[0]
    with pp.restore(first) as ctx:
        asked = ctx.record_llm_request("gpt-5-mini", messages=ctx.messages)
        ctx.record_llm_response("gpt-5-mini", content="I would rather not.", parent_id=asked)
    [drift] = pp.drift(ctx)["description"]
    assert drift == "an answer where the original had an answer that calls find_customer"


def test_a_played_run_is_compared_with_its_tape_and_others_have_no_original(store: Database) -> None:
    @pp.tool
    def roll() -> int:
        return 4

    with pp.trace_session("dice"):
        roll()
    with pp.tape("dice"), pp.trace_session("again") as ctx:
        roll()
        ctx.record_decision("enough", chosen_action="stop")
    assert pp.drift("again").empty
    with pytest.raises(pp.NotRestorable, match="is no restored run"):
        pp.drift("dice")


def test_nothing_is_warned_of_when_nothing_is_lost(store: Database) -> None:
    shop()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pp.restore("shop")


@pytest.mark.parametrize(
    ("key", "provider", "expected"),
    [
        (
            "messages", "openai",
            [
                {
                    "role": "assistant", "content": "I look.",
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"n": 1}'}}
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": '{"found": 1}'},
            ],
        ),
        (
            "messages", "anthropic",
            [
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "c1", "name": "look_up", "input": {"n": 1}},
                    ],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "c1", "content": '{"found": 1}'}],
                },
            ],
        ),
        (
            "input", "openai",
            [
                {"role": "assistant", "content": "I look."},
                {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": '{"n": 1}'},
                {"type": "function_call_output", "call_id": "c1", "output": '{"found": 1}'},
            ],
        ),
        (
            "contents", "google",
            [
                {
                    "role": "model",
                    "parts": [{"text": "I look."}, {"functionCall": {"name": "look_up", "args": {"n": 1}}}],
                },
                {"role": "user", "parts": [{"functionResponse": {"name": "look_up", "response": {"found": 1}}}]},
            ],
        ),
    ],
)  # fmt: skip
def test_an_answer_and_its_results_are_written_in_the_form_of_each_api(
    key: str, provider: str, expected: list[Any]
) -> None:
    run = Run("forms")
    called = [{"id": "c1", "name": "look_up", "arguments": {"n": 1}}]
    answer = run.add(LLMResponse, "m", content="I look.", tool_calls=called)
    result = run.add(ToolResult, "look_up", tool_name="look_up", call_id="c1", result={"found": 1})
    assert isinstance(answer, LLMResponse)
    assert isinstance(result, ToolResult)
    assert list(written(answer, [result], key, provider)) == expected
