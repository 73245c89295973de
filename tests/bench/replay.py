"""Plays a recorded exchange back from a loopback server, through the real SDK that the application would have used."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

import anthropic
import httpx2
import openai
from anthropic.lib.streaming import _beta_messages, _messages
from google.genai import types as gemini
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState

from tests.loopback import Loopback, Reply

Row = dict[str, Any]

_KINDS = {
    "/chat/completions": "chat", "/completions": "completions", "/responses": "responses",
    "/responses/compact": "compact", "/embeddings": "embeddings", "/v1/messages": "messages",
    "/v1/complete": "complete", ":generateContent": "gemini", ":streamGenerateContent": "gemini",
}  # fmt: skip
_ASKS: dict[str | None, str] = {
    "chat": "messages", "messages": "messages", "completions": "prompt", "complete": "prompt", "embeddings": "input",
    "gemini": "contents",
}  # fmt: skip
"""What a model call asks with; a request without it is none."""
_FETCHED = re.compile(r"/responses/resp_\w+$")
_OF_THE_LINE = ("content-length", "content-encoding", "transfer-encoding", "connection", "content-type")
TIMEOUT = 60.0


@dataclass
class Outcome:
    """What the application saw: the objects that the SDK returned, their sum, the exception that it raised."""

    objects: list[Any] = field(default_factory=list)
    whole: Any = None
    error: BaseException | None = None
    sent: list[Any] = field(default_factory=list)
    """The bodies of the requests that arrived."""
    no_sum: str | None = None
    """Why the SDK's own accumulator could not add the chunks up."""

    def seen(self) -> list[str]:
        """All of it as text, to compare."""
        error = self.error and (type(self.error).__name__, str(self.error), getattr(self.error, "body", None))
        return [f"{type(each).__name__} {each!r}" for each in self.objects] + [repr(error)]


def kind_of(row: Row) -> str | None:
    """Which kind of model call an exchange is; None when it is none."""
    path, body = place_of(row).path, row.get("request_body")
    kind = next((kind for end, kind in _KINDS.items() if path.endswith(end)), None)
    is_call = (row.get("method") or "POST") == "POST" and isinstance(body, dict) and _ASKS.get(kind, "model") in body
    return kind if is_call else None


def place_of(row: Row) -> SplitResult:
    """The URL of an exchange in its parts, all empty where it is no URL."""
    try:
        return urlsplit(str(row.get("uri") or ""))
    except ValueError:
        return urlsplit("")


def reply_to(row: Row) -> Reply:
    """The recorded answer; a stream comes event by event."""
    body = row.get("response_body")
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else json.dumps(body).encode()
    streams = bool(row.get("stream"))
    end = b"\r\n\r\n" if b"\r\n\r\n" in raw else b"\n\n"
    chunks = [event for event in raw.replace(end, end + b"\0").split(b"\0") if event] if streams else [raw] * bool(raw)
    kind = row.get("content_type") or ("text/event-stream" if streams else "application/json")
    headers = {str(name).lower(): str(value) for name, value in (row.get("response_headers") or {}).items()}
    kept = {name: value for name, value in headers.items() if name not in _OF_THE_LINE}
    return Reply(chunks, int(row.get("status") or 200), {**kept, "content-type": kind})


def play(row: Row, server: Loopback, http: httpx2.Client) -> Outcome:
    """Send the recorded request to the host that it was for; the server stands in for it as the client's proxy."""
    outcome = Outcome()
    before = len(server.requests)
    try:
        server.answer(reply_to(row))
        sender = _fetch if _FETCHED.search(place_of(row).path) and row.get("method") == "GET" else _send_as_it_is
        _SENDERS.get(kind_of(row) or "", sender)(row, http, outcome)
    except Exception as error:  # noqa: BLE001 - what the SDK raises is what the application sees
        outcome.error = error
        traceback.clear_frames(error.__traceback__)
    server.forget()
    outcome.sent = [seen.body for seen in server.requests[before:]]
    return outcome


def _parts(row: Row, end: str) -> tuple[str, dict[str, str]]:
    """The base URL before the endpoint, on plain HTTP so that a proxy can serve it, and the query."""
    url = urlsplit(row["uri"])
    return f"http://{url.netloc}{url.path.removesuffix(end)}", dict(parse_qsl(url.query))


def _openai(create: Callable[[openai.OpenAI], Any], end: str, state: Callable[[Outcome], Any]) -> Any:
    """Send through the OpenAI SDK. What was sent goes into the body as it is: the SDK would leave out what it lacks."""

    def send(row: Row, http: httpx2.Client, outcome: Outcome) -> None:
        base_url, query = _parts(row, end)
        client = openai.OpenAI(
            base_url=base_url, api_key="test", http_client=http, max_retries=0, default_query=query, timeout=TIMEOUT
        )
        body = row["request_body"]
        streams = {"stream": body["stream"]} if isinstance(body.get("stream"), bool) else {}
        missing: Any = openai.NOT_GIVEN
        required = dict.fromkeys(_REQUIRED[end], missing)
        answer = create(client)(**required, **streams, extra_body=body)
        _take(answer, outcome, state if body.get("stream") is True else None)

    return send


def _send_message(row: Row, http: httpx2.Client, outcome: Outcome) -> None:
    client, query = _anthropic(row, http, "/v1/messages")
    body, missing = row["request_body"], anthropic.NOT_GIVEN
    streams = {"stream": body["stream"]} if isinstance(body.get("stream"), bool) else {}
    is_beta = query.pop("beta", None) == "true"
    required = dict.fromkeys(_REQUIRED["/v1/messages"], missing)
    where = client.beta.messages if is_beta else client.messages
    answer = where.create(**required, **streams, extra_body=body, extra_query=query, timeout=TIMEOUT)
    _take(answer, outcome, (_beta_message if is_beta else _message) if body.get("stream") is True else None)


def _complete(row: Row, http: httpx2.Client, outcome: Outcome) -> None:
    """Send what today's Anthropic SDK has no method for by the one that all of its methods call."""
    client, _ = _anthropic(row, http, "/v1/complete")
    streams = row["request_body"].get("stream") is True
    way = {"stream": True, "stream_cls": anthropic.Stream[object]} if streams else {}
    answer = client.post("/v1/complete", cast_to=object, body=row["request_body"], **way)
    _take(answer, outcome, _text if streams else None)


def _anthropic(row: Row, http: httpx2.Client, end: str) -> tuple[Any, dict[str, str]]:
    base_url, query = _parts(row, end)
    return anthropic.Anthropic(base_url=base_url, api_key="test", http_client=http, max_retries=0), query


def _fetch(row: Row, http: httpx2.Client, outcome: Outcome) -> None:
    """Fetch the answer to a call that runs in the background."""
    base_url, query = _parts(row, "")
    base_url, _, answer_id = base_url.rpartition("/responses/")
    client = openai.OpenAI(base_url=base_url, api_key="test", http_client=http, max_retries=0)
    streams = query.pop("stream", None) == "true"
    retrieve: Any = client.responses.retrieve
    answer = retrieve(answer_id, stream=streams, extra_query=query)
    _take(answer, outcome, _last_response if streams else None)


def _last_response(outcome: Outcome) -> Any:
    return [event.response for event in outcome.objects if hasattr(event, "response")][-1]


def _send_as_it_is(row: Row, http: httpx2.Client, outcome: Outcome) -> None:
    """Send what is no model call, or one that no SDK here makes."""
    body = row.get("request_body")
    content = None if body in (None, "") else body if isinstance(body, str) else json.dumps(body)
    url = str(row["uri"]).replace("https://", "http://", 1)
    response = http.request(str(row.get("method") or "POST"), url, content=content)
    outcome.objects = [(response.status_code, response.content)]
    if kind_of(row) == "gemini" and response.is_success:
        texts = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")] or [response.text]
        outcome.objects += [gemini.GenerateContentResponse.model_validate(json.loads(text)) for text in texts]
        outcome.whole = outcome.objects[1:]


def _take(answer: Any, outcome: Outcome, total: Callable[[Outcome], Any] | None) -> None:
    """Take what the SDK returns, chunk by chunk if it streams, and add it up with the SDK's own means."""
    if total is None:
        outcome.objects, outcome.whole = [answer], answer
        return
    try:
        outcome.objects.extend(answer)
    finally:
        try:
            outcome.whole = total(outcome) if outcome.objects else None
        except Exception as error:  # noqa: BLE001 - it is not made for every stream
            outcome.no_sum = f"{type(error).__name__}: {error}"


def _chat(outcome: Outcome) -> Any:
    state = ChatCompletionStreamState()
    for chunk in outcome.objects:
        if chunk.choices or chunk.usage:
            state.handle_chunk(chunk)
    return state.current_completion_snapshot


def _response(outcome: Outcome) -> Any:
    state: Any = ResponseStreamState(input_tools=openai.NOT_GIVEN, text_format=openai.NOT_GIVEN)
    last: Any = None
    for event in outcome.objects:
        state.handle_event(event)
        if event.type in ("response.incomplete", "response.failed"):
            last = event.response
    snapshot = state._ResponseStreamState__current_snapshot
    if last is not None and not last.output:
        last = last.model_copy(update={"output": snapshot.output})  # what came before it failed
    return state._completed_response or last or snapshot


def _message(outcome: Outcome, accumulate: Any = _messages.accumulate_event, **more: Any) -> Any:
    snapshot, buffers = None, {}
    for event in outcome.objects:
        if event.type not in ("ping", "error"):
            snapshot = accumulate(event=event, current_snapshot=snapshot, json_bufs=buffers, **more)
    return snapshot


def _beta_message(outcome: Outcome) -> Any:
    return _message(outcome, _beta_messages.accumulate_event, request_headers=httpx2.Headers())


def _text(outcome: Outcome) -> Any:
    """Add up chunks of plain text, for which the SDKs have nothing."""
    return list(outcome.objects)


_REQUIRED = {
    "/chat/completions": ("messages", "model"), "/completions": ("prompt", "model"), "/responses": (),
    "/responses/compact": ("model",), "/embeddings": ("input", "model"),
    "/v1/messages": ("messages", "model", "max_tokens"),
}  # fmt: skip
_SENDERS: dict[str, Any] = {
    "chat": _openai(lambda client: client.chat.completions.create, "/chat/completions", _chat),
    "completions": _openai(lambda client: client.completions.create, "/completions", _text),
    "responses": _openai(lambda client: client.responses.create, "/responses", _response),
    "compact": _openai(lambda client: client.responses.compact, "/responses/compact", _text),
    "embeddings": _openai(lambda client: client.embeddings.create, "/embeddings", _text),
    "messages": _send_message,
    "complete": _complete,
}
