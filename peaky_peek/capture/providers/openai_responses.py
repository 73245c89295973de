"""OpenAI's Responses API: conversations made of items, tools that the provider runs itself, streams of typed events."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from peaky_peek.attachments import described
from peaky_peek.capture.providers import openai_items as items
from peaky_peek.capture.providers import sse
from peaky_peek.capture.providers.fields import (
    Answer,
    Failure,
    Prompt,
    besides,
    dict_of,
    dicts_of,
    list_of,
    loads,
    text_of,
)
from peaky_peek.capture.providers.hosts import provider
from peaky_peek.capture.providers.openai_choices import FILTERED, failed, usage
from peaky_peek.capture.providers.openai_items import calls, returns, tool_names

__all__ = ["answer", "calls", "prompt", "returns", "tool_names"]

_ASKED = {"model", "input", "tools", "stream"}
_OVER = ("completed", "incomplete", "failed", "cancelled")
_ENDS = tuple(f"response.{status}" for status in _OVER)
_DELTAS = {
    "output_text": ("content", "output_text", "text"),
    "refusal": ("content", "refusal", "refusal"),
    "reasoning_text": ("content", "reasoning_text", "text"),
    "reasoning_summary_text": ("summary", "summary_text", "text"),
    "function_call_arguments": (None, None, "arguments"),
    "mcp_call_arguments": (None, None, "arguments"),
    "custom_tool_call_input": (None, None, "input"),
    "code_interpreter_call_code": (None, None, "code"),
}
"""Where in an item the text of a delta goes: into a part of a list, of which type, under which name."""
_SPEAK_FOR_THEMSELVES = ("compaction", "mcp_approval_request", "image_generation_call")


def prompt(url: str, body: dict[str, Any]) -> Prompt | None:
    """Return what a request asks: the items of its input, its instructions before them as the system's message."""
    given, instructions = body.get("input"), body.get("instructions")
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else list_of(given)
    told = isinstance(instructions, str)
    if told:
        messages = [{"role": "system", "content": instructions}, *messages]
    asked = _ASKED | {"instructions"} if told else _ASKED
    return Prompt(
        provider=provider(url),
        model=text_of(body.get("model")),
        messages=messages,
        tools=list_of(body.get("tools")) or None,
        settings=besides(body, asked),
        stream=body.get("stream") is True,
    )


def answer(status: int, body: bytes, *, stream: bool) -> Answer:
    """Return what a response says; a stream is put together as the SDK's own accumulator does it."""
    if stream and status < 400:
        return _streamed(body)
    return _whole(dict_of(loads(body)), status, body)


def _whole(body: dict[str, Any], status: int, raw: bytes) -> Answer:
    """Read a response that came in one piece."""
    if not isinstance(body.get("output"), list) or status >= 400:
        return failed(body, status, raw)
    output = dicts_of(body["output"])
    state = text_of(body.get("status"))
    is_compaction = body.get("object") == "response.compaction"
    is_failed = state == "failed" or (bool(body.get("error")) and state != "completed")
    reason = text_of(dict_of(body.get("incomplete_details")).get("reason"))
    refusal = "\n".join(_parts(output, "refusal", "refusal")) or None
    if reason == "content_filter" and not refusal:
        refusal = FILTERED
    own, hosted = items.split(output)
    return Answer(
        model=text_of(body.get("model")),
        content=output if is_compaction else _content(output),
        thinking="\n\n".join(_thoughts(output)) or None,
        tool_calls=own,
        hosted=hosted,
        finish_reason=reason or (state if state in _OVER else None),
        usage=usage(body.get("usage"), "input", "output"),
        refusal=refusal,
        failure=Failure.of(body.get("error"), status, raw) if is_failed else None,
        complete=not is_failed and (state in (*_OVER, "complete", None) and state != "cancelled"),
        data=_extra(body, output),
    )


def _content(output: list[dict[str, Any]]) -> Any:
    """Return the text of an answer, as the SDK's `output_text`; without any, the items that are the answer."""
    text = "".join(_parts(output, "output_text", "text"))
    if text:
        return text
    shown = [item for item in output if item.get("type") in _SPEAK_FOR_THEMSELVES]
    return [described(item) or item for item in shown] or None


def _parts(output: list[dict[str, Any]], kind: str, name: str) -> list[str]:
    messages = [item for item in output if item.get("type") == "message"]
    parts = [part for message in messages for part in dicts_of(message.get("content")) if part.get("type") == kind]
    return [text for part in parts if (text := text_of(part.get(name)))]


def _thoughts(output: list[dict[str, Any]]) -> list[str]:
    """Return the model's reasoning as far as it is shown: the thoughts themselves, else their summary."""
    thoughts = []
    for item in output:
        if item.get("type") == "reasoning":
            parts = dicts_of(item.get("content")) or dicts_of(item.get("summary"))
            thoughts += [text for part in parts if (text := text_of(part.get("text")))]
    return thoughts


def _extra(body: dict[str, Any], output: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep what has no field of its own: the provider's id and state of the answer, its error, sources, ciphertext."""
    messages = [part for item in output if item.get("type") == "message" for part in dicts_of(item.get("content"))]
    state = body.get("status")
    extra = {
        "response_id": body.get("id"),
        "status": state if state in ("queued", "in_progress") else None,
        "error": body.get("error"),
        "annotations": [note for part in messages for note in list_of(part.get("annotations"))],
        "reasoning": [item for item in output if item.get("type") == "reasoning" and item.get("encrypted_content")],
    }
    return {name: value for name, value in extra.items() if value}


class _Items:
    """The items of a stream, put together from its events; pieces of text in lists keep a long stream linear."""

    def __init__(self) -> None:
        self.done: dict[int, dict[str, Any]] = {}
        self._begun: dict[int, dict[str, Any]] = {}
        self._texts: defaultdict[tuple[int, str | None, int, str | None, str], list[str]] = defaultdict(list)

    def add(self, kind: str, event: dict[str, Any]) -> bool:
        """Add one event; return whether it brought a token."""
        at = _number(event, "output_index")
        item = event.get("item")
        if kind == "output_item.added" and isinstance(item, dict):
            self._begun[at] = item
        elif kind == "output_item.done" and isinstance(item, dict):
            self.done[at] = item
        place = _DELTAS.get(kind.removesuffix(".delta")) if kind.endswith(".delta") else None
        delta = event.get("delta")
        if place and isinstance(delta, str):
            listed, part, name = place
            self._texts[at, listed, _number(event, f"{listed}_index"), part, name].append(delta)
        return bool(delta) and kind.endswith(".delta")

    def output(self) -> list[dict[str, Any]]:
        """Return the items as far as they came."""
        partial = {at: {**item} for at, item in self._begun.items()}
        for (at, listed, index, part, name), pieces in sorted(self._texts.items(), key=lambda each: each[0][:3:2]):
            kind = "message" if listed == "content" and part != "reasoning_text" else "reasoning"
            item = partial.setdefault(at, {"type": kind if listed else "function_call"})
            if listed is None:
                item[name] = "".join(pieces)
            else:
                parts = [each for each in list_of(item.get(listed)) if each != {}]
                item[listed] = [*parts[:index], {"type": part, name: "".join(pieces)}]
        partial |= self.done
        return [partial[at] for at in sorted(partial)]


def _streamed(body: bytes) -> Answer:
    items_of = _Items()
    whole: dict[str, Any] = {}
    first_token = failure = None
    last = b""
    for end, data in sse.events(body):
        if data.startswith(b"[DONE]"):
            break
        read_event = loads(data)
        if read_event is None:
            failure = Failure.of_chunk(data)
            break
        event = dict_of(read_event)
        kind = text_of(event.get("type")) or ""
        if kind == "error" or event.get("error"):
            failure = Failure.of(event.get("error") or event, 200, data)
            break
        if isinstance(event.get("response"), dict):
            whole, last = event["response"], data
        if items_of.add(kind.removeprefix("response."), event) and first_token is None:
            first_token = end
        if kind in _ENDS:
            break
    is_over = whole.get("status") in _OVER
    output = whole.get("output")
    if not is_over or not isinstance(output, list) or (not output and whole.get("status") != "completed"):
        whole = {**whole, "output": items_of.output()}
    read = _whole(whole, 200, last)
    read.first_token = first_token
    read.failure = failure or read.failure
    read.complete = read.complete and is_over and failure is None
    return read


def _number(event: dict[str, Any], name: str) -> int:
    number = event.get(name)
    return number if type(number) is int else 0
