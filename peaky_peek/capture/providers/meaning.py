"""What exchanges mean: the events that a model call is made of, for every provider alike.

A call that failed is an `llm_response` with status `error`, so that the call has an end, and an `error` that says why;
it is known to have failed only once no retry follows. An agent that records nothing itself still has tools and
decisions: they are read off its conversation (`metadata.derived`), unless it recorded its own.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from peaky_peek.attachments import attachments
from peaky_peek.capture import pricing
from peaky_peek.capture.importance import importance
from peaky_peek.capture.providers import BLOCK, may_be_retried, module_for
from peaky_peek.capture.providers.fields import Answer, Failure, HostedCall, Prompt, Provider, loads
from peaky_peek.capture.providers.new_results import LOOK_BACK, NewResults
from peaky_peek.capture.task import task_of
from peaky_peek.events import Decision, Error, Event, LLMRequest, LLMResponse, Refusal, ToolCall, ToolResult
from peaky_peek.ids import id_at
from peaky_peek.store.exchange_records import Past, Request, Response, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peaky_peek.store.exchanges import Exchange

_HOSTED = BLOCK // 2 - 2  # calls at the provider for which an answer has positions


def request(exchange: Exchange, sent: Sent, past: Past) -> Request | None:
    """Return what a request means: the tools that ran since the answer it continues, and the `llm_request`."""
    prompt = _prompt(exchange.url, exchange.request)
    if prompt is None:
        return None
    earlier = _prompt(exchange.url, sent.earlier.body) if sent.earlier else None
    keep = _shared(earlier.messages, prompt.messages) if earlier else 0
    tools = NewResults(exchange, sent, past)
    tools.read(_provider(exchange.url), prompt.messages, keep)
    attached = attachments(prompt.messages)
    asked = LLMRequest(
        id=exchange.event_id, session_id=exchange.session_id, position=exchange.position + BLOCK - 1,
        parent_id=sent.parent_id, agent=sent.agent, name=prompt.model or prompt.provider, time_us=exchange.started_at,
        provider=prompt.provider, model=prompt.model, messages=prompt.messages, tools=prompt.tools,
        settings=prompt.settings, stream=prompt.stream, upstream_event_ids=tools.evidence,
        metadata=sent.misplaced or {}, data={"attachments": attached} if attached else {},
    )  # fmt: skip
    return Request(_scored([*tools.derived, asked]), keep, tools.shows, task_of(prompt.messages))


def response(exchange: Exchange, past: Past) -> Response:
    """Return what a response means: the `llm_response` and what it says of failure and refusal."""
    if exchange.status is None and exchange.error is None:
        return Response(_scored(_answered(exchange, past, Answer(complete=False))), complete=False, pending=False)
    if exchange.attempt > 1 and _is_answered(exchange, past):
        return Response([], complete=True, pending=False)
    answer = _answer(exchange)
    if answer.failure and may_be_retried(exchange.status, exchange.response_headers):
        return Response([], complete=False, pending=True)
    if _is_to_come(exchange, past, answer):
        return Response([], complete=False, pending=True)
    decides = bool(answer.tool_calls) and answer.failure is None
    return Response(_scored(_answered(exchange, past, answer)), answer.complete, pending=decides)


def outcome(exchange: Exchange, past: Past) -> list[Event]:
    """Return what a response means in the end: a failure that was not retried, or the decision to call tools."""
    answer = _answer(exchange)
    is_to_come = _is_to_come(exchange, past, answer)
    if answer.failure or (is_to_come and (answer.content or answer.thinking or answer.tool_calls)):
        return _scored(_answered(exchange, past, answer))
    if is_to_come:
        return []
    asked = past.event(exchange.event_id)
    own = [each for each in past.events("decision", after=exchange.pending or 0) if not _is_derived(each)]
    if asked is None or any(decision.parent_id == asked.parent_id for decision in own):
        return []
    return _scored([_decision(exchange, cast("LLMRequest", asked), answer)])


def _is_to_come(exchange: Exchange, past: Past, answer: Answer) -> bool:
    """Tell whether the provider goes on with the answer in the background."""
    asked = past.event(exchange.event_id) if answer.data.get("status") else None
    return isinstance(asked, LLMRequest) and (asked.settings or {}).get("background") is True


def _is_answered(exchange: Exchange, past: Past) -> bool:
    """Tell whether the answer of a call was fetched before."""
    answers = cast("list[LLMResponse]", past.events("llm_response", limit=LOOK_BACK))
    return any(answer.parent_id == exchange.event_id and answer.complete for answer in answers)


def _answered(exchange: Exchange, past: Past, answer: Answer) -> list[Event]:
    """Return the `llm_response` and what follows from it at once, at the positions reserved for the response."""
    asked = cast("LLMRequest | None", past.event(exchange.event_id))
    if asked is None:
        return []
    positions = itertools.count(exchange.pending or 0)
    provider = asked.provider or ""
    is_fetched = exchange.method == "GET"
    ended = _ended(exchange)
    duration_ms = (ended - (asked.time_us or ended)) / 1000 if is_fetched else exchange.duration_ms

    def place(name: str, **more: Any) -> dict[str, Any]:
        position = next(positions)
        return {
            "id": id_at(position), "session_id": exchange.session_id, "position": position, "name": name,
            "parent_id": exchange.event_id, "agent": asked.agent, "time_us": ended, **more,
        }  # fmt: skip

    model = answer.model or asked.model
    hosted = list(_hosted(answer.hosted, place))  # these ran before the answer was there
    if len(answer.hosted) > _HOSTED:
        answer.data["hosted_calls"] = len(answer.hosted)
    said = LLMResponse(
        **place(model or provider), duration_ms=duration_ms, status=_status(answer), model=model,
        content=answer.content, thinking=answer.thinking, tool_calls=answer.tool_calls or None,
        finish_reason=answer.finish_reason, usage=answer.usage, complete=answer.complete,
        data=answer.data | ({"refusal": answer.refusal} if answer.refusal else {}),
        time_to_first_token_ms=None if is_fetched else _first_token_ms(exchange, answer),
        cost_usd=0.0 if exchange.played_from else _cost(provider, model, answer),
    )  # fmt: skip
    events: list[Event] = [*hosted, said]
    if answer.refusal:
        policy = "content_filter" if answer.finish_reason == "content_filter" else provider
        derived = place("refusal", metadata={"derived": True}, upstream_event_ids=[said.id])
        events.append(Refusal(**derived, reason=answer.refusal, policy_name=policy))
    if answer.failure:
        failure = answer.failure
        failed = place(failure.error_type, upstream_event_ids=[said.id])
        events.append(Error(**failed, error_type=failure.error_type, error_message=failure.error_message))
    return events


def _hosted(calls: list[HostedCall], place: Callable[..., dict[str, Any]]) -> Iterator[Event]:
    """Yield the calls of tools that the provider ran itself, and what came of them."""
    for call in calls[:_HOSTED]:
        data = {"server": call.server} if call.server else {}
        common: dict[str, Any] = {"tool_name": call.name, "call_id": call.call_id, "data": data}
        inside: dict[str, Any] = {"metadata": {"derived": True}}
        if call.asked:
            called = ToolCall(**place(call.name, **inside), **common, arguments=call.arguments)
            yield called
            inside["parent_id"] = called.id
        if call.done:
            yield ToolResult(**place(call.name, **inside), **common, result=call.result, error=call.error)


def _decision(exchange: Exchange, asked: LLMRequest, answer: Answer) -> Decision:
    """Return the decision that calling tools is. It stands where the agent would have recorded its own."""
    chosen = [str(call["name"]) for call in answer.tool_calls]
    offered = _provider(exchange.url).tool_names(asked.tools or [])
    position = (exchange.pending or 0) + BLOCK - 1
    return Decision(
        id=id_at(position), session_id=exchange.session_id, position=position, parent_id=asked.parent_id,
        agent=asked.agent, name=", ".join(chosen), time_us=_ended(exchange), chosen_action=", ".join(chosen),
        reasoning=(answer.content if isinstance(answer.content, str) else None) or answer.thinking,
        alternatives=[name for name in offered if name not in chosen], evidence_event_ids=asked.upstream_event_ids,
        metadata={"derived": True},
    )  # fmt: skip


def _answer(exchange: Exchange) -> Answer:
    """Read a response; the exception that the application saw tells more than the bytes that came before it."""
    if exchange.status is None:
        error_type, _, message = (exchange.error or "").partition(": ")
        return Answer(complete=False, failure=Failure(error_type, message))
    content_type = next((value for name, value in exchange.response_headers if name.lower() == "content-type"), "")
    prompt = _prompt(exchange.url, exchange.request)
    stream = "event-stream" in content_type or (not content_type and prompt is not None and prompt.stream)
    answer = _provider(exchange.url).answer(exchange.status, exchange.response, stream=stream)
    if exchange.complete or exchange.status >= 400 or answer.complete:
        return answer
    if exchange.error is not None:
        error_type, _, message = exchange.error.partition(": ")
        answer.failure = Failure(error_type, message)
    elif not stream:
        answer.failure = None  # the application turned away before the body had come
    return answer


def _cost(provider: str, model: str | None, answer: Answer) -> float | None:
    if model is None or answer.usage is None or not answer.is_list_price:
        return None
    if provider == "openai":  # a host that speaks its language may be anybody's: the model says who has a price for it
        made = pricing.cost_usd(None, model, answer.usage)
        return pricing.cost_usd(provider, model, answer.usage) if made is None else made
    return pricing.cost_usd(provider, model, answer.usage)


def _status(answer: Answer) -> str:
    if answer.failure:
        return "error"
    return "ok" if answer.complete else "cancelled"


def _first_token_ms(exchange: Exchange, answer: Answer) -> float | None:
    """Return when the chunk came with which the first token was there."""
    if answer.first_token is None:
        return None
    came = itertools.accumulate(exchange.chunk_sizes)
    times = itertools.accumulate(exchange.chunk_times_us)
    return next((time / 1000 for size, time in zip(came, times, strict=False) if size >= answer.first_token), None)


def _ended(exchange: Exchange) -> int:
    return exchange.started_at + round((exchange.duration_ms or 0) * 1000)


def _shared(earlier: list[Any], messages: list[Any]) -> int:
    """Return how many messages two conversations have in common from the beginning."""
    pairs = zip(earlier, messages, strict=False)
    return next((at for at, (old, new) in enumerate(pairs) if old != new), min(len(earlier), len(messages)))


def _is_derived(event: Event) -> bool:
    return bool(event.metadata.get("derived"))


def _scored(events: list[Event]) -> list[Event]:
    for event in events:
        event.importance = importance(event)
    return events


def _provider(url: str) -> Provider:
    return cast("Provider", import_module(module_for(url) or ""))


@lru_cache(maxsize=8)
def _prompt(url: str, body: bytes) -> Prompt | None:
    """Read a request; of a conversation, the next request and the response come back to the same bytes."""
    read = loads(body)
    return _provider(url).prompt(url, read) if isinstance(read, dict) else None
