"""OpenAI's completions of plain text, the API before chat; many servers of open models still speak it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from peaky_peek.capture.providers import sse
from peaky_peek.capture.providers.fields import Answer, Failure, Prompt, ToolReturn, dict_of, dicts_of, loads, text_of
from peaky_peek.capture.providers.hosts import deployment, provider
from peaky_peek.capture.providers.openai_choices import FILTERED, extra, failed, index, usage

_ASKED = {"model", "prompt", "stream"}


def prompt(url: str, body: dict[str, Any]) -> Prompt | None:
    """Return what a request asks: a message for each prompt, of text or of tokens."""
    given = body.get("prompt")
    prompts = given if isinstance(given, list) and not all(isinstance(each, int) for each in given) else [given]
    return Prompt(
        provider=provider(url),
        model=text_of(body.get("model")) or deployment(url),
        messages=[{"role": "user", "content": each} for each in prompts],
        tools=None,
        settings={name: value for name, value in body.items() if name not in _ASKED},
        stream=body.get("stream") is True,
    )


def answer(status: int, body: bytes, *, stream: bool) -> Answer:
    """Return what a response says: the text of the first choice, the others in `data`."""
    if stream and status < 400:
        return _streamed(body)
    return _whole(dict_of(loads(body)), status, body)


def calls(messages: list[Any]) -> dict[str, dict[str, Any]]:  # noqa: ARG001
    """Return no tool calls: plain text has none."""
    return {}


def returns(messages: list[Any]) -> list[ToolReturn]:  # noqa: ARG001
    """Return no tool results."""
    return []


def tool_names(tools: list[Any]) -> list[str]:  # noqa: ARG001
    """Return no names: no tools are offered."""
    return []


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


def _streamed(body: bytes) -> Answer:
    whole: dict[str, Any] = {}
    texts: defaultdict[int, list[str]] = defaultdict(list)
    reasons: dict[int, str] = {}
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
        for choice in dicts_of(chunk.get("choices")):
            at = index(choice)
            texts[at].append(text_of(choice.get("text")) or "")
            if reason := text_of(choice.get("finish_reason")):
                reasons[at] = reason
            if texts[at][-1] and first_token is None:
                first_token = end
    choices = [{"index": at, "text": "".join(pieces), "finish_reason": reasons.get(at)} for at, pieces in texts.items()]
    read = _whole(whole | {"choices": choices}, 200, body) if choices else Answer(data=extra(whole, []))
    read.first_token = first_token
    read.failure = failure
    read.complete = failure is None and (done or bool(reasons))
    return read
