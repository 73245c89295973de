"""OpenAI's embeddings: texts in, vectors out. Of the vectors only their number and size is told."""

from __future__ import annotations

import base64
from typing import Any

from peaky_peek.capture.providers.fields import Answer, Prompt, besides, dict_of, dicts_of, loads, text_of
from peaky_peek.capture.providers.hosts import deployment, provider
from peaky_peek.capture.providers.openai_choices import asked_one_by_one, failed, usage
from peaky_peek.capture.providers.toolless import calls, returns, tool_names

__all__ = ["answer", "calls", "prompt", "returns", "tool_names"]

_ASKED = {"model", "input"}


def prompt(url: str, body: dict[str, Any]) -> Prompt | None:
    """Return what a request asks: a message for each input, of text or of tokens."""
    return Prompt(
        provider=provider(url),
        model=text_of(body.get("model")) or deployment(url),
        messages=asked_one_by_one(body.get("input")),
        tools=None,
        settings=besides(body, _ASKED),
        stream=False,
    )


def answer(status: int, body: bytes, *, stream: bool) -> Answer:  # noqa: ARG001
    """Return what a response says: `data["embeddings"]` has the number of vectors and their dimensions."""
    read = dict_of(loads(body))
    if not isinstance(read.get("data"), list) or status >= 400:
        return failed(read, status, body)
    vectors = [each.get("embedding") for each in dicts_of(read["data"])]
    return Answer(
        model=text_of(read.get("model")),
        usage=usage(read.get("usage")),
        data={"embeddings": {"count": len(vectors), "dimensions": _dimensions(vectors[0]) if vectors else None}},
    )


def _dimensions(vector: Any) -> int | None:
    """Return the length of a vector; the SDK asks for 4-byte floats in base64."""
    if isinstance(vector, list):
        return len(vector)
    try:
        return len(base64.b64decode(vector, validate=True)) // 4
    except (TypeError, ValueError):
        return None
