"""Google's Gemini: by its own API, or through Vertex."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from peaky_peek.attachments import described
from peaky_peek.capture.providers import sse
from peaky_peek.capture.providers.fields import (
    Answer,
    Failure,
    HostedCall,
    Prompt,
    ToolReturn,
    besides,
    call_key,
    counts,
    dict_of,
    dicts_of,
    list_of,
    loads,
    text_of,
)

_URL = re.compile(r"/([^/:?]+):(\w+)(?:\?|$)")
_ASKED = {"contents", "systemInstruction", "system_instruction", "tools"}
_BLOCKED = {
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "ESCALATION",
}  # fmt: skip
"""The reasons for which Gemini stops an answer that it does not want to give."""
_DECODER = json.JSONDecoder()


def prompt(url: str, body: dict[str, Any]) -> Prompt | None:
    """Return what a request asks, its system prompt as the first message; None when it is no model call after all."""
    if "contents" not in body:
        return None
    contents = body["contents"] if isinstance(body["contents"], list) else [body["contents"]]
    system = body.get("systemInstruction", body.get("system_instruction"))
    if system is not None:
        contents = [{**dict_of(system), "role": "system"}, *contents]
    model, method = model_and_method(url)
    return Prompt(
        provider="google",
        model=model,
        messages=contents,
        tools=list_of(body.get("tools")) or None,
        settings=besides(body, _ASKED),
        stream=method == "streamGenerateContent",
    )


def model_and_method(url: str) -> tuple[str | None, str | None]:
    """Return what a URL names.

    >>> model_and_method("https://host/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
    ('gemini-2.5-flash', 'streamGenerateContent')
    """
    named = _URL.search(url)
    return (named[1], named[2]) if named else (None, None)


def answer(status: int, body: bytes, *, stream: bool) -> Answer:
    """Return what a response says. A stream is server-sent events, or one JSON array that comes in pieces."""
    if status < 400 and (stream or body.lstrip().startswith(b"[")):
        return _streamed(sse.events(body) if stream else _items(body))
    return _read(dict_of(loads(body)), status, body)


def calls(messages: list[Any]) -> dict[str, dict[str, Any]]:
    """Return the tool calls that a history shows, by what tells them apart: most have no id."""
    return {call_key(call): call for call in _calls(_parts_of(messages))}


def returns(messages: list[Any]) -> list[ToolReturn]:
    """Return the tool results among messages. One without an id answers the first call of its name not yet answered."""
    waiting: list[dict[str, Any]] = []
    found = []
    for part in _parts_of(messages):
        waiting += _calls([part])
        response = part.get("functionResponse")
        if isinstance(response, dict):
            call = next((call for call in waiting if _answers(response, call)), None)
            if call is not None:
                waiting.remove(call)
                found.append(_return(call_key(call), response.get("response")))
            elif isinstance(response.get("id"), str):
                found.append(_return(response["id"], response.get("response")))
    return found


def tool_names(tools: list[Any]) -> list[str]:
    """Return the names of the tools offered.

    >>> tool_names([{"functionDeclarations": [{"name": "weather"}]}, {"googleSearch": {}}])
    ['weather', 'googleSearch']
    """
    names: list[str | None] = []
    for tool in dicts_of(tools):
        for kind, value in tool.items():
            declared = kind in ("functionDeclarations", "function_declarations")
            names += [text_of(each.get("name")) for each in dicts_of(value)] if declared else [kind]
    return [name for name in names if name is not None]


def _read(body: dict[str, Any], status: int, raw: bytes) -> Answer:
    """Read a body that came in one piece, or was put together."""
    error = body.get("error")
    if error or not body or status >= 400:
        return Answer(complete=False, failure=Failure.of(error, status, raw), data=_extra(body, [], []))
    candidates = sorted(dicts_of(body.get("candidates")), key=_index)
    candidate = candidates[0] if candidates else {}
    parts = _parts(candidate.get("content"))
    texts = [(text, part.get("thought") is True) for part in parts if isinstance(text := part.get("text"), str)]
    said = [text for text, is_thought in texts if not is_thought]
    return Answer(
        model=text_of(body.get("modelVersion")),
        content="".join(said) if said else [file for part in parts if (file := described(part))] or None,
        thinking="".join(text for text, is_thought in texts if is_thought) or None,
        tool_calls=_calls(parts),
        hosted=_hosted(parts, candidate),
        finish_reason=text_of(candidate.get("finishReason")),
        usage=usage_of(body.get("usageMetadata")),
        refusal=_refusal(body, candidate),
        data=_extra(body, candidates, parts),
    )


def _extra(body: dict[str, Any], candidates: list[dict[str, Any]], parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep what has no field of its own: parts that are no text, ratings, sources, the provider's counts of tokens."""
    told = all(part.keys() == {"text"} or part.keys() == {"text", "thought"} or _is_bare_call(part) for part in parts)
    candidate = candidates[0] if candidates else {}
    extra = {
        "response_id": body.get("responseId"), "error": body.get("error"), "usage": body.get("usageMetadata"),
        "parts": None if told else parts, "prompt_feedback": body.get("promptFeedback"), "choices": candidates[1:],
    }  # fmt: skip
    extra |= besides(candidate, ("content", "finishReason", "index"))
    return {name: value for name, value in extra.items() if value}


def _is_bare_call(part: dict[str, Any]) -> bool:
    call = part.get("functionCall")
    return len(part) == 1 and isinstance(call, dict) and call.keys() <= {"id", "name", "args"}


def _calls(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    asked = [call for part in parts if isinstance(call := part.get("functionCall"), dict)]
    return [
        {"id": text_of(call.get("id")), "name": text_of(call.get("name")), "arguments": call.get("args") or {}}
        for call in asked
    ]


def _hosted(parts: list[dict[str, Any]], candidate: dict[str, Any]) -> list[HostedCall]:
    """Return the calls of tools that Google ran itself: its search, and code that the model wrote."""
    found = []
    code: Any = None
    for part in parts:
        code = part.get("executableCode") or code
        result = part.get("codeExecutionResult")
        if isinstance(result, dict):
            outcome, output = text_of(result.get("outcome")), result.get("output")
            error = outcome if outcome and outcome != "OUTCOME_OK" else None
            found.append(HostedCall(text_of(result.get("id")), "code_execution", code, output, error))
    grounding = dict_of(candidate.get("groundingMetadata"))
    if queries := grounding.get("webSearchQueries"):
        sources = grounding.get("groundingChunks")
        found.append(HostedCall(None, "google_search", {"queries": queries}, sources))
    return found


def _parts(content: Any) -> list[dict[str, Any]]:
    return dicts_of(dict_of(content).get("parts"))


def _parts_of(messages: list[Any]) -> list[dict[str, Any]]:
    return [part for message in messages for part in _parts(message)]


def _answers(response: dict[str, Any], call: dict[str, Any]) -> bool:
    if response.get("id") and call["id"]:
        return bool(response["id"] == call["id"])
    return bool(response.get("name") == call["name"])


def _return(key: str, response: Any) -> ToolReturn:
    """Return a result as the tool gave it: the SDK stores it under `result`, and what went wrong under `error`."""
    match response:
        case {"result": result, **rest} | {"output": result, **rest} if not rest:
            return ToolReturn(key, result)
        case {"error": error, **rest} if not rest and error:
            return ToolReturn(key, None, error if isinstance(error, str) else json.dumps(error))
    return ToolReturn(key, response)


def _refusal(body: dict[str, Any], candidate: dict[str, Any]) -> str | None:
    feedback = dict_of(body.get("promptFeedback"))
    if reason := text_of(feedback.get("blockReason")):
        return text_of(feedback.get("blockReasonMessage")) or f"the provider blocked the prompt: {reason}"
    reason = text_of(candidate.get("finishReason"))
    if reason in _BLOCKED:
        return text_of(candidate.get("finishMessage")) or f"the provider stopped the answer: {reason}"
    return None


def usage_of(usage: Any) -> dict[str, int | None] | None:
    """Count tokens as prices do: what was thought is output, what tools brought in is input. `data` keeps theirs."""
    if not isinstance(usage, dict):
        return None
    thought = usage.get("thoughtsTokenCount")
    return counts(
        input=_sum(usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount")),
        output=_sum(usage.get("candidatesTokenCount"), thought),
        cache_read=usage.get("cachedContentTokenCount"),
        reasoning=thought,
    )


def _sum(*numbers: Any) -> int | None:
    known = [number for number in numbers if type(number) is int]
    return sum(known) if known else None


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each item of a JSON array as (offset of its end, text), as far as it came."""
    text = body.decode("utf-8", "surrogateescape")
    at = text.find("[") + 1
    offset = done = 0
    while True:
        while text[at : at + 1] and text[at] in " \t\r\n,":
            at += 1
        try:
            _, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        offset += len(text[done:end].encode("utf-8", "surrogateescape"))
        yield offset, text[at:end].encode("utf-8", "surrogateescape")
        at = done = end


def _streamed(items: Iterator[tuple[int, bytes]]) -> Answer:
    whole: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    parts: dict[int, list[dict[str, Any]]] = {}
    first_token = failure = None
    for end, data in items:
        chunk = dict_of(loads(data))
        if chunk.get("error"):
            failure = Failure.of(chunk["error"], 200, data)
            whole["error"] = chunk["error"]
            break
        whole |= besides(chunk, ("candidates",))
        for candidate in dicts_of(chunk.get("candidates")):
            index = _index(candidate)
            candidates.setdefault(index, {}).update(candidate)
            new = _parts(candidate.get("content"))
            parts.setdefault(index, []).extend(new)
            if first_token is None and any(part.get("text") != "" for part in new):
                first_token = end
    whole["candidates"] = [
        {**candidate, "content": {"role": "model", "parts": _joined(parts[index])}}
        for index, candidate in candidates.items()
    ]
    read = _read({**whole, "error": None}, 200, b"")
    if failure:
        read.data["error"] = whole["error"]
    read.first_token = first_token
    read.failure = failure
    read.complete = failure is None and (read.finish_reason is not None or read.refusal is not None)
    return read


def _joined(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join texts that follow each other, thoughts and answers each; what else they say, like a signature, is kept."""
    joined: list[dict[str, Any]] = []
    texts: list[list[str]] = []
    for part in parts:
        text, last = part.get("text"), joined[-1] if joined else {}
        if isinstance(text, str) and isinstance(last.get("text"), str) and last.get("thought") == part.get("thought"):
            last.update(part)
            texts[-1].append(text)
        else:
            joined.append(dict(part))
            texts.append([text] if isinstance(text, str) else [])
    for part, pieces in zip(joined, texts, strict=True):
        if pieces:
            part["text"] = "".join(pieces)
    return joined


def _index(candidate: dict[str, Any]) -> int:
    index = candidate.get("index")
    return index if isinstance(index, int) else 0
