"""The tool results that are new in a prompt: of an agent that records no tools they are what tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from peaky_peek.capture.providers import BLOCK
from peaky_peek.capture.providers.fields import Provider, ToolReturn, call_key
from peaky_peek.events import Event, LLMResponse, ToolCall, ToolResult
from peaky_peek.ids import id_at

if TYPE_CHECKING:
    from peaky_peek.store.exchange_records import Past, Sent
    from peaky_peek.store.exchanges import Exchange

LOOK_BACK = 64  # answers among which the one is sought that asked for a tool result


class NewResults:
    """What a prompt shows of tools for the first time.

    Attributes:
        derived: the calls that the agent has not recorded itself, with their results.
        evidence: the ids of all the results.
        shows: the `llm_request`s whose answers asked for them.
    """

    def __init__(self, exchange: Exchange, sent: Sent, past: Past) -> None:
        self.derived: list[Event] = []
        self.evidence: list[str] = []
        self.shows: list[str] = []
        self._exchange = exchange
        self._sent = sent
        self._past = past

    def read(self, provider: Provider, messages: list[Any], keep: int) -> None:
        """Look at the messages after the first `keep`."""
        returns = provider.returns(messages[keep:])
        if not returns:
            return
        answers = cast("list[LLMResponse]", self._past.events("llm_response", limit=LOOK_BACK))
        asked_by = {call_key(call): answer for answer in reversed(answers) for call in answer.tool_calls or []}
        calls = provider.calls(messages)
        first = min((asked_by[each.call_id].position for each in returns if each.call_id in asked_by), default=0)
        known = cast("list[ToolResult]", self._past.events("tool_result", after=first))
        for returned in returns:
            answer = asked_by.get(returned.call_id)
            if answer is None:  # asked for before the session began
                continue
            call = calls.get(returned.call_id) or _call(answer, returned.call_id)
            self.shows.append(str(answer.parent_id))
            own = [each for each in known if _is_of(each, call, answer)]
            self.evidence += [each.id for each in reversed(own) if each.id not in self.evidence]
            if not own:
                self._derive(call, returned, answer)

    def _derive(self, call: dict[str, Any], returned: ToolReturn, answer: LLMResponse) -> None:
        exchange, sent = self._exchange, self._sent
        last = exchange.position + BLOCK - 2
        name = call["name"] or "tool"
        position = min(exchange.position + len(self.derived), last)
        called = ToolCall(
            id=id_at(position), session_id=exchange.session_id, position=position, parent_id=sent.parent_id,
            agent=sent.agent, name=name, tool_name=name, arguments=call["arguments"], call_id=call["id"],
            upstream_event_ids=[answer.id], metadata={"derived": True},
        )  # fmt: skip
        position = min(position + 1, last)
        result = ToolResult(
            id=id_at(position), session_id=exchange.session_id, position=position, parent_id=called.id,
            agent=sent.agent, name=name, tool_name=name, result=returned.result, error=returned.error,
            call_id=call["id"], metadata={"derived": True},
        )  # fmt: skip
        self.derived += [called, result]
        self.evidence.append(result.id)


def _call(answer: LLMResponse, call_id: str) -> dict[str, Any]:
    """Return a call as the answer has it that asked for it: where the provider keeps the history, it is not resent."""
    return next(call for call in answer.tool_calls or [] if call_key(call) == call_id)


def _is_of(result: ToolResult, call: dict[str, Any], answer: LLMResponse) -> bool:
    """Tell whether a recorded result is that of a call: by its id, or for the agent's own, by tool and place."""
    if result.call_id is not None:
        return bool(result.call_id == call["id"])
    return result.tool_name == call["name"] and result.position > answer.position
