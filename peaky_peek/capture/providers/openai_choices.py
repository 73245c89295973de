"""What OpenAI's chat and plain completions, and embeddings, have in common: choices, usage, and how they fail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Protocol

from peaky_peek.capture.providers import sse
from peaky_peek.capture.providers.fields import Answer, Failure, counts, dict_of, dicts_of, loads

FILTERED = "the provider's content filter stopped the answer"


def asked_one_by_one(given: Any) -> list[dict[str, Any]]:
    """Return a message for each thing that is asked at once, of text or of tokens.

    >>> asked_one_by_one([[1, 2], [3]])
    [{'role': 'user', 'content': [1, 2]}, {'role': 'user', 'content': [3]}]
    """
    several = given if isinstance(given, list) and not all(isinstance(each, int) for each in given) else [given]
    return [{"role": "user", "content": each} for each in several]


def failed(body: dict[str, Any], status: int, raw: bytes) -> Answer:
    """Return the answer that a body without an answer is."""
    failure = Failure.of(body.get("error"), status, raw)
    refusal = failure.error_message if failure.error_type == "content_filter" else None
    return Answer(complete=False, failure=failure, refusal=refusal, data=extra(body, []))


def extra(body: dict[str, Any], choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep what has no field of its own: the provider's id of the answer, its error as given, further choices."""
    kept = {"response_id": body.get("id"), "error": body.get("error"), "choices": choices[1:]}
    return {name: value for name, value in kept.items() if value}


def usage(said: Any, read: str = "prompt", written: str = "completion") -> dict[str, int | None] | None:
    """Return the counts of tokens, None when none are told; the two words are what they are called by."""
    if not isinstance(said, dict):
        return None
    of_read, of_written = dict_of(said.get(f"{read}_tokens_details")), dict_of(said.get(f"{written}_tokens_details"))
    return counts(
        input=said.get(f"{read}_tokens"),
        output=said.get(f"{written}_tokens"),
        cache_read=of_read.get("cached_tokens", said.get("prompt_cache_hit_tokens")),
        cache_write=of_read.get("cache_write_tokens"),
        reasoning=of_written.get("reasoning_tokens"),
    )


def index(part: dict[str, Any], unsaid: int = 0) -> int:
    """Return which of several a choice or a tool call is."""
    number = part.get("index")
    return number if isinstance(number, int) else unsaid


class Choice(Protocol):
    """One choice of a stream, put together from its pieces."""

    finish_reason: str | None

    def add(self, piece: dict[str, Any]) -> bool:
        """Add a piece; return whether it brought a token."""

    def whole(self) -> dict[str, Any]:
        """Return the choice as it would have come in one piece."""


def streamed(body: bytes, make: Callable[[], Choice], read: Callable[[dict[str, Any], int, bytes], Answer]) -> Answer:
    """Return what a stream says: put together as the SDK does it, and then read as if it had come in one piece."""
    whole: dict[str, Any] = {}
    choices: defaultdict[int, Choice] = defaultdict(make)
    first_token = failure = None
    done = False
    for end, data in sse.events(body):
        if data.startswith(b"[DONE]"):
            done = True
            break
        read_chunk = loads(data)
        if read_chunk is None:
            failure = Failure.of_chunk(data)
            break
        chunk = dict_of(read_chunk)
        whole |= {name: chunk[name] for name in ("id", "model", "usage", "error") if chunk.get(name)}
        if "error" in whole:
            failure = Failure.of(whole["error"], 200, data)
            break
        for piece in dicts_of(chunk.get("choices")):
            if choices[index(piece)].add(piece) and first_token is None:
                first_token = end
    whole["choices"] = [
        {"index": at, **choice.whole(), "finish_reason": choice.finish_reason} for at, choice in choices.items()
    ]
    answer = read(whole, 200, body) if choices else Answer(data=extra(whole, []))
    answer.first_token = first_token
    answer.failure = failure
    answer.complete = failure is None and (done or any(choice.finish_reason for choice in choices.values()))
    return answer
