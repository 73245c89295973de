"""Anthropic's text completions, from before there were messages."""

from __future__ import annotations

from typing import Any

from peaky_peek.capture.providers import sse
from peaky_peek.capture.providers.fields import Answer, Failure, Prompt, besides, dict_of, loads, text_of
from peaky_peek.capture.providers.toolless import calls, returns, tool_names

__all__ = ["answer", "calls", "prompt", "returns", "tool_names"]

_ASKED = {"model", "prompt", "stream"}


def prompt(url: str, body: dict[str, Any]) -> Prompt | None:  # noqa: ARG001 - as every provider is asked
    """Return what a request asks, or None when it is no completion after all."""
    if "prompt" not in body:
        return None
    return Prompt(
        provider="anthropic",
        model=text_of(body.get("model")),
        messages=[{"role": "user", "content": body["prompt"]}],
        tools=None,
        settings=besides(body, _ASKED),
        stream=body.get("stream") is True,
    )


def answer(status: int, body: bytes, *, stream: bool) -> Answer:
    """Return what a response says, whole or in pieces."""
    if not stream or status >= 400:
        return _read(dict_of(loads(body)), status, body)
    whole: dict[str, Any] = {}
    pieces = []
    first_token = None
    for end, data in sse.events(body):
        event = dict_of(loads(data))
        if "error" in event:
            whole["error"] = event["error"]
            break
        whole |= {name: value for name, value in event.items() if value is not None}
        if piece := text_of(event.get("completion")):
            pieces.append(piece)
            first_token = first_token or end
    failure = Failure.of(whole["error"], status, body) if "error" in whole else None
    read = _read({**whole, "completion": "".join(pieces)}, status, body)
    read.failure, read.first_token = failure, first_token
    read.complete = failure is None and read.finish_reason is not None
    return read


def _read(body: dict[str, Any], status: int, raw: bytes) -> Answer:
    extra = {"response_id": body.get("id"), "stop": body.get("stop"), "error": body.get("error")}
    data = {name: value for name, value in extra.items() if value}
    if not isinstance(body.get("completion"), str):
        return Answer(complete=False, failure=Failure.of(body.get("error"), status, raw), data=data)
    return Answer(
        model=text_of(body.get("model")),
        content=body["completion"],
        finish_reason=text_of(body.get("stop_reason")),
        data=data,
    )
