"""A call that the provider goes on with in the background: fetches are exchanges of the one call."""

from __future__ import annotations

import pytest
from openai import OpenAI

import peaky_peek as pp
from peaky_peek.store import Database
from tests.loopback import Loopback, error, message, response, response_stream
from tests.wire.calls import ask, attempts, events, kinds

QUEUED = {"status": "queued", "usage": None}


def begin(client: OpenAI, **more: object) -> str:
    return client.responses.create(model="gpt-4o-mini", input="think long", background=True, **more).id  # type: ignore[call-overload,no-any-return]


def test_fetches_are_exchanges_of_the_call_and_the_last_brings_its_answer(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(response(**QUEUED), response(status="in_progress", usage=None), response("at last"))
    with pp.trace_session("patient"):
        answer_id = begin(client)
        client.responses.retrieve(answer_id)
        assert kinds(store) == ["llm_request"]
        client.responses.retrieve(answer_id)
    assert kinds(store) == ["llm_request", "llm_response"]
    asked, answered = events(store)
    assert (answered.content, answered.complete, answered.parent_id) == ("at last", True, asked.id)
    assert answered.usage["input"] == 11
    assert answered.duration_ms * 1000 >= answered.time_us - asked.time_us - 1000
    assert attempts(store) == [(1, 200, 0), (2, 200, 0), (3, 200, 1)]
    assert pp.sessions().input_tokens.tolist() == [11]


def test_an_answer_is_fetched_in_another_session_than_the_call_was_made_in(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(response(**QUEUED), message("in between"), response("found later"), response("found later"))
    with pp.trace_session("first cell"):
        answer_id = begin(client)
        ask(client)
    with pp.trace_session("second cell"):
        client.responses.retrieve(answer_id)
        client.responses.retrieve(answer_id)  # once more: nothing new
    assert kinds(store) == ["llm_request", "llm_request", "llm_response", "llm_response"]
    assert [event.content for event in events(store, "llm_response")] == ["in between", "found later"]
    assert pp.sessions().llm_calls.tolist() == [2, 0]


def test_a_fetch_of_an_answer_that_we_know_nothing_of_is_no_model_call(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(response("whose?"))
    assert client.responses.retrieve("resp_1").output_text == "whose?"
    assert attempts(store) == []


def test_a_call_that_is_never_fetched_stays_open(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(response(**QUEUED))
    with pp.trace_session("impatient"):
        begin(client)
    assert kinds(store) == ["llm_request"]


def test_a_cancelled_call_is_over(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(response(**QUEUED), response(status="cancelled", usage=None))
    with pp.trace_session("gives up"):
        client.responses.cancel(begin(client))
    (answered,) = events(store, "llm_response")
    assert (answered.finish_reason, answered.complete, answered.status) == ("cancelled", False, "cancelled")


def test_a_fetch_that_is_retried_or_fails_does_not_end_the_call(
    store: Database, server: Loopback, client: OpenAI
) -> None:
    server.answer(response(**QUEUED), error(500), response("after all"))
    with pp.trace_session("flaky"):
        client.with_options(max_retries=1).responses.retrieve(begin(client))
    assert kinds(store) == ["llm_request", "llm_response"]
    assert attempts(store) == [(1, 200, 0), (2, 500, 0), (3, 200, 1)]


@pytest.mark.parametrize("fetched", [True, False])
def test_a_stream_that_was_left_is_taken_up_again(
    store: Database, server: Loopback, client: OpenAI, fetched: bool
) -> None:
    server.answer(response_stream("one two three", done=False), response_stream("one two three"))
    with pp.trace_session("resumed"):
        with client.responses.create(model="m", input="count", background=True, stream=True) as stream:
            answer_id = next(iter(stream)).response.id  # type: ignore[union-attr]
            list(stream)
        if fetched:
            list(client.responses.retrieve(answer_id, stream=True, starting_after=3))
    (answered,) = events(store, "llm_response")
    assert (answered.content, answered.complete) == ("one two three", fetched)


def test_of_two_fetches_at_a_time_one_answers_the_call(store: Database, server: Loopback, client: OpenAI) -> None:
    server.answer(response(**QUEUED), response_stream("once"), response("once"))
    with pp.trace_session("hasty"):
        answer_id = begin(client)
        stream = client.responses.retrieve(answer_id, stream=True)
        client.responses.retrieve(answer_id)
        list(stream)
    assert kinds(store) == ["llm_request", "llm_response"]
    assert attempts(store) == [(1, 200, 0), (2, 200, 1), (3, 200, 1)]
