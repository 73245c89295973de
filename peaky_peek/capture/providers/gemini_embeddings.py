"""Embeddings by Google's models: contents in, vectors out. Of the vectors only their number and size is told."""

from __future__ import annotations

from typing import Any

from peaky_peek.capture.providers.fields import Answer, Failure, Prompt, besides, dict_of, dicts_of, list_of, loads
from peaky_peek.capture.providers.gemini import model_and_method, usage_of
from peaky_peek.capture.providers.toolless import calls, returns, tool_names

__all__ = ["answer", "calls", "prompt", "returns", "tool_names"]


def prompt(url: str, body: dict[str, Any]) -> Prompt | None:
    """Return what a request asks, or None when it is no model call after all: the messages are what is embedded."""
    asked = dicts_of(body["requests"]) if "requests" in body else [body]
    settings = besides(asked[0] if asked else {}, ("content", "model"))
    return Prompt(
        provider="google",
        model=model_and_method(url)[0],
        messages=[{"role": "user", **dict_of(each.get("content"))} for each in asked],
        tools=None,
        settings=settings,
        stream=False,
    )


def answer(status: int, body: bytes, *, stream: bool) -> Answer:  # noqa: ARG001 - as every provider is asked
    """Return what a response says: `data["embeddings"]` has the number of vectors and their dimensions."""
    read = dict_of(loads(body))
    vectors = dicts_of(read.get("embeddings")) or dicts_of([read.get("embedding")])
    if status >= 400 or not vectors:
        return Answer(complete=False, failure=Failure.of(read.get("error"), status, body))
    told = {"count": len(vectors), "dimensions": len(list_of(vectors[0].get("values"))) or None}
    return Answer(usage=usage_of(read.get("usageMetadata")), data={"embeddings": told})
