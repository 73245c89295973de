"""What OpenAI's chat and plain completions, and embeddings, have in common: choices, usage, and how they fail."""

from __future__ import annotations

from typing import Any

from peaky_peek.capture.providers.fields import Answer, Failure, counts, dict_of

FILTERED = "the provider's content filter stopped the answer"


def failed(body: dict[str, Any], status: int, raw: bytes) -> Answer:
    """Return the answer that a body without an answer is."""
    failure = Failure.of(body.get("error"), status, raw)
    refusal = failure.error_message if failure.error_type == "content_filter" else None
    return Answer(complete=False, failure=failure, refusal=refusal, data=extra(body, []))


def extra(body: dict[str, Any], choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep what has no field of its own: the provider's id of the answer, its error as given, further choices."""
    kept = {"response_id": body.get("id"), "error": body.get("error"), "choices": choices[1:]}
    return {name: value for name, value in kept.items() if value}


def usage(said: Any) -> dict[str, int | None] | None:
    """Return the counts of tokens, None when none are told."""
    if not isinstance(said, dict):
        return None
    read, written = dict_of(said.get("prompt_tokens_details")), dict_of(said.get("completion_tokens_details"))
    return counts(
        input=said.get("prompt_tokens"),
        output=said.get("completion_tokens"),
        cache_read=read.get("cached_tokens", said.get("prompt_cache_hit_tokens")),
        cache_write=read.get("cache_write_tokens"),
        reasoning=written.get("reasoning_tokens"),
    )


def index(part: dict[str, Any], unsaid: int = 0) -> int:
    """Return which of several a choice or a tool call is."""
    number = part.get("index")
    return number if isinstance(number, int) else unsaid
