"""Moments: what was known after each event of a run, as a replay shows it beside the picture."""

from __future__ import annotations

import pytest

from peaky_peek import steps, store
from peaky_peek.analysis.moments import Moments
from peaky_peek.events import AgentStart, AgentTurn, Checkpoint, LLMRequest, LLMResponse
from tests.recordings import Run
from tests.refunds import Refund


def moments_of(session_id: str) -> Moments:
    return Moments(store.current(), steps.steps(store.current(), session_id))


@pytest.fixture
def refund() -> Moments:
    return moments_of(Refund("refund").save(store.current()))


def positions(moments: Moments, kind: str) -> list[int]:
    return [at for at in range(len(moments)) if moments.at(at).event.kind == kind]


def test_the_conversation_grows_by_what_each_event_said(refund: Moments) -> None:
    first, second, *_ = positions(refund, "llm_request")
    assert [message.role for message in refund.at(first).new_messages] == ["system", "user"]
    assert refund.at(first + 1).messages[-1].tool_calls[0]["name"] == "find_customer"
    assert [message.role for message in refund.at(second).new_messages] == ["tool"]
    assert refund.at(second - 1).new_messages == []
    told = [message for at in range(len(refund)) for message in refund.at(at).new_messages]
    assert told == refund.at(len(refund) - 1).messages


def test_the_stack_is_what_is_at_work_around_an_event(refund: Moments) -> None:
    at = next(at for at in positions(refund, "tool_call") if refund.at(at).event.name == "issue_voucher")
    assert [step.name for step in refund.at(at).stack] == ["refund_agent", "cashier", "issue_voucher"]
    assert [step.name for step in refund.at(at + 1).stack] == ["refund_agent", "cashier"]
    assert refund.at(len(refund) - 1).stack == []
    assert "refund_agent.cashier" in repr(refund.at(at))


def test_cost_and_tokens_add_up_to_what_the_session_says(refund: Moments) -> None:
    from peaky_peek import frames

    session = frames.session("refund")
    last = refund.at(len(refund) - 1)
    assert last.cost_usd == pytest.approx(session.cost_usd)
    assert (last.tokens.input, last.tokens.output) == (session.input_tokens, session.output_tokens)
    assert (last.unpriced, last.tokens.uncounted) == (0, 0)
    assert (refund.at(0).cost_usd, refund.at(0).tokens.input) == (None, None)


def test_what_is_not_known_is_counted_and_never_taken_for_nothing() -> None:
    run = Run("unpriced")
    agent = run.add(AgentStart, "agent")
    for usage, cost in [(None, None), ({"input": 3, "output": 4}, 0.5), (None, None)]:
        asked = run.add(LLMRequest, "m", agent)
        run.add(LLMResponse, "m", asked, content="hi", usage=usage, cost_usd=cost)
    moments = moments_of(run.save(store.current()))
    assert (moments.at(2).cost_usd, moments.at(2).unpriced) == (None, 1)
    last = moments.at(len(moments) - 1)
    assert (last.cost_usd, last.unpriced, last.tokens) == (0.5, 2, (3, 4, 2))
    assert "at least $0.5" in repr(last)


def test_the_state_is_that_of_the_last_checkpoint_with_what_it_changed(refund: Moments) -> None:
    before, after = positions(refund, "checkpoint")
    assert refund.at(before - 1).state is None
    assert refund.at(before - 1).changes == []
    assert refund.at(after - 1).state == {"order": "A-1042", "refunded": 0}
    assert [(one.path, one.kind, one.before, one.after) for one in refund.at(after).changes] == [
        ("state.refunded", "changed", 0, 84.5)
    ]
    assert [(one.path, one.kind) for one in refund.at(before).changes] == [("state", "added")]
    assert refund.at(len(refund) - 1).checkpoint.label == "after refund"


def test_turns_are_the_conversation_where_no_model_was_asked() -> None:
    run = Run("turns")
    run.add(AgentTurn, "turn", speaker="ada", content="hello")
    run.add(Checkpoint, "saved", memory={"seen": 1})
    run.add(AgentTurn, "turn", speaker="bob", content="good day")
    moments = moments_of(run.save(store.current()))
    assert [(one.role, one.content) for one in moments.at(2).messages] == [("ada", "hello"), ("bob", "good day")]
    assert moments.at(1).memory == {"seen": 1}


def test_a_position_that_is_not_there_is_said_so(refund: Moments) -> None:
    with pytest.raises(IndexError, match="this session has"):
        refund.at(len(refund))
    assert len(moments_of("none")) == 0
