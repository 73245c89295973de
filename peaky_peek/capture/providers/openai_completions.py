"""OpenAI's completions of plain text, the API before chat; many servers of open models still speak it."""

from __future__ import annotations

from typing import Any

from peaky_peek.capture.providers.fields import Answer, Prompt, besides, dict_of, dicts_of, loads, text_of
from peaky_peek.capture.providers.hosts import deployment, provider
from peaky_peek.capture.providers.openai_choices import (
    FILTERED,
    asked_one_by_one,
    extra,
    failed,
    index,
    streamed,
    usage,
)
from peaky_peek.capture.providers.toolless import calls, returns, tool_names

__all__ = ["answer", "calls", "prompt", "returns", "tool_names"]

_ASKED = {"model", "prompt", "stream"}


def prompt(url: str, body: dict[str, Any]) -> Prompt | None:
    """Return what a request asks: a message for each prompt, of text or of tokens."""
    return Prompt(
        provider=provider(url),
        model=text_of(body.get("model")) or deployment(url),
        messages=asked_one_by_one(body.get("prompt")),
        tools=None,
        settings=besides(body, _ASKED),
        stream=body.get("stream") is True,
    )


def answer(status: int, body: bytes, *, stream: bool) -> Answer:
    """Return what a response says: the text of the first choice, the others in `data`."""
    if stream and status < 400:
        return streamed(body, _Choice, _whole)
    return _whole(dict_of(loads(body)), status, body)


def _whole(body: dict[str, Any], status: int, raw: bytes) -> Answer:
    choices = sorted(dicts_of(body.get("choices")), key=index)
    if not choices or status >= 400:
        return failed(body, status, raw)
    finish_reason = text_of(choices[0].get("finish_reason"))
    is_filtered = finish_reason == "content_filter"
    return Answer(
        model=text_of(body.get("model")),
        content=choices[0].get("text"),
        finish_reason=finish_reason,
        usage=usage(body.get("usage")),
        refusal=FILTERED if is_filtered else None,
        data=extra(body, choices),
    )


class _Choice:
    """One choice of a stream, put together from its pieces."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._texts: list[str] = []

    def add(self, piece: dict[str, Any]) -> bool:
        text = text_of(piece.get("text")) or ""
        self._texts.append(text)
        self.finish_reason = text_of(piece.get("finish_reason")) or self.finish_reason
        return bool(text)

    def whole(self) -> dict[str, Any]:
        return {"text": "".join(self._texts)}
