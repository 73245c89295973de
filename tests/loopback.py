"""A model server on loopback: plays back real exchanges, or what a test puts into it, in every way a network can."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

DATA = Path(__file__).parent / "data"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def real_exchanges(name: str = "openai_chat_exchanges.jsonl") -> list[dict[str, Any]]:
    """The real exchanges of a sample file, as its `.md` describes them."""
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Reply:
    """What to answer, by the chunk. `gate` holds back all but the first; `breaks_off` cuts the line after the last."""

    chunks: list[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    gate: threading.Event | None = None
    breaks_off: bool = False


def message(content: str | None = None, **fields: Any) -> Reply:
    """A chat completion with this message; `finish_reason`, `usage` and `model` are not the message's but its own."""
    own = {"model": "gpt-4o-mini", "finish_reason": "stop", "usage": USAGE}
    own |= {name: fields.pop(name) for name in list(fields) if name in own}
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **fields}}
    choice["finish_reason"] = "tool_calls" if fields.get("tool_calls") else own.pop("finish_reason")
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "choices": [choice], **own}
    return Reply([json.dumps(body).encode()])


def tool_call(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    """A tool call as it stands in a message."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def error(status: int, code: str = "scripted", text: str = "scripted failure", **headers: str) -> Reply:
    """An error of the provider. The SDK waits `retry-after-ms` before it tries again."""
    body = json.dumps({"error": {"message": text, "type": "server_error", "code": code}}).encode()
    return Reply([body], status, {"content-type": "application/json", "retry-after-ms": "1", **headers})


def stream(
    *texts: str, tool_calls: list[dict[str, Any]] | None = None, usage: dict[str, int] | None = None, done: bool = True,
    **reply: Any,
) -> Reply:  # fmt: skip
    """A streamed chat completion, one chunk a text; a tool call comes in two, its arguments in the second."""
    deltas: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": text}} for text in texts]
    for index, call in enumerate(tool_calls or ()):
        begun = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        rest = {"index": index, "function": {"arguments": call["function"]["arguments"]}}
        deltas += [{"delta": {"role": "assistant", "tool_calls": [part]}} for part in (begun, rest)]
    if done:
        deltas.append({"delta": {}, "finish_reason": "tool_calls" if tool_calls else "stop"})
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    frames = [{**frame, "choices": [{"index": 0, "finish_reason": None, **delta}]} for delta in deltas]
    if usage:
        frames.append({**frame, "choices": [], "usage": usage})
    lines = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in frames]
    return Reply(lines + [b"data: [DONE]\n\n"] * done, headers={"content-type": "text/event-stream"}, **reply)


def function_call(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    """A tool call as it stands in the output of the Responses API."""
    said = {"name": name, "arguments": json.dumps(arguments), "call_id": call_id, "status": "completed"}
    return {"id": f"fc_{call_id}", "type": "function_call", **said}


def output_text(*texts: str) -> dict[str, Any]:
    """A message as it stands in the output of the Responses API."""
    parts = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in texts]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": parts}


def response(*output: str | dict[str, Any], **fields: Any) -> Reply:
    """An answer of the Responses API, made of texts and items; `usage`, `status` and others replace the usual ones."""
    return Reply([json.dumps(_response(output, fields)).encode()])


def response_stream(*output: str | dict[str, Any], done: bool = True, usage: Any = None, **reply: Any) -> Reply:
    """The same as a stream: an event a chunk, texts word by word; not `done`: it ends in the middle of the last item.

    Its last event is the `response.failed` that `failure` is the error of, if that is given.
    """
    failure = reply.pop("failure", None)
    whole = _response(output, {"usage": usage} if usage else {})
    begun = whole | {"output": [], "status": "in_progress", "usage": None}
    told: list[tuple[str, dict[str, Any]]] = [("created", {"response": begun}), ("in_progress", {"response": begun})]
    for index, item in enumerate(whole["output"]):
        told += [(kind, {"output_index": index, **event}) for kind, event in _item_events(item)]
    if not done:
        del told[max(at for at, (kind, _) in enumerate(told) if kind.endswith(".delta")) + 1 :]
    elif failure:
        told.append(("failed", {"response": begun | {"status": "failed", "error": failure}}))
    else:
        told.append(("completed", {"response": whole}))
    lines = []
    for number, (kind, event) in enumerate(told):
        data = {"type": f"response.{kind}", "sequence_number": number, **event}
        lines.append(f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode())
    return Reply(lines, headers={"content-type": "text/event-stream"}, **reply)


def _response(output: Iterable[str | dict[str, Any]], fields: dict[str, Any]) -> dict[str, Any]:
    usage = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    items = [
        output_text(item) | {"id": f"msg_{number}"} if isinstance(item, str) else item
        for number, item in enumerate(output)
    ]
    usual = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o-mini"}
    settings = {"error": None, "incomplete_details": None, "parallel_tool_calls": True, "tool_choice": "auto"}
    return {**usual, **settings, "tools": [], "output": items, "usage": {**usage, **details}, **fields}


def _item_events(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events in which an item arrives, after `response.`."""
    name = {"message": "content", "function_call": "arguments", "custom_tool_call": "input"}.get(item["type"])
    empty: Any = [] if name == "content" else ""
    yield "output_item.added", {"item": item | ({name: empty, "status": "in_progress"} if name else {})}
    for at, part in enumerate(item[name] if name == "content" else ()):
        inside = {"item_id": item["id"], "content_index": at}
        key = "refusal" if part["type"] == "refusal" else "text"
        yield "content_part.added", {**inside, "part": part | {key: ""}}
        for word in re.findall(r"\S*\s*", part[key]):
            if word:
                yield f"{part['type']}.delta", {**inside, "delta": word, "logprobs": []}
        yield f"{part['type']}.done", {**inside, key: part[key], "logprobs": []}
        yield "content_part.done", {**inside, "part": part}
    if name in ("arguments", "input"):
        kind = "function_call_arguments" if name == "arguments" else "custom_tool_call_input"
        for start in range(0, len(item[name]), 6):
            yield f"{kind}.delta", {"item_id": item["id"], "delta": item[name][start : start + 6]}
        yield f"{kind}.done", {"item_id": item["id"], name: item[name], "name": item["name"]}
    yield "output_item.done", {"item": item}


def recorded(exchange: dict[str, Any]) -> Reply:
    """The answer of a real exchange; a stream comes event by event."""
    body = exchange["response_body"]
    raw = (body if isinstance(body, str) else json.dumps(body)).encode()
    chunks = [event + b"\n\n" for event in raw.split(b"\n\n") if event] if exchange["stream"] else [raw]
    kind = exchange["content_type"] or ("text/event-stream" if exchange["stream"] else "application/json")
    headers = {**exchange["response_headers"], "content-type": kind, "x-should-retry": "false"}
    return Reply(chunks, exchange["status"], headers)


class Loopback:
    """The server. `answer` queues replies, `replay` answers requests by their body; anything else is a 404.

    Example:
        with Loopback(message("Hello!")) as server:
            OpenAI(base_url=server.url, api_key="test").chat.completions.create(...)
    """

    def __init__(self, *replies: Reply) -> None:
        self.requests: list[Seen] = []
        self._queue = deque(replies)
        self._by_body: dict[str, deque[Reply]] = {}

    def answer(self, *replies: Reply) -> None:
        """Answer the next requests with these, whatever they ask."""
        self._queue.extend(replies)

    def forget(self) -> None:
        """Forget what the next requests were to be answered with."""
        self._queue.clear()
        self._by_body.clear()

    def replay(self, exchanges: Iterable[dict[str, Any]]) -> None:
        """Answer each request whose body was recorded as it was answered then, in any order."""
        for exchange in exchanges:
            self._by_body.setdefault(_key(exchange["request_body"]), deque()).append(recorded(exchange))

    def reply_to(self, seen: Seen) -> Reply:
        """What this request is answered with."""
        self.requests.append(seen)
        known = self._by_body.get(_key(seen.body))
        if known:
            return known.popleft()
        return self._queue.popleft() if self._queue else error(404, text=f"nothing to answer {seen.path} with")

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()


def _key(body: Any) -> str:
    return json.dumps(body, sort_keys=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # a test ends when its server has, threads included

    def __init__(self, loopback: Loopback) -> None:
        self.loopback = loopback
        self.lines: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def hang_up(self) -> None:
        """Close the lines that clients keep open for their next request."""
        for line in list(self.lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.lines.add(self.connection)

    def finish(self) -> None:
        self.server.lines.discard(self.connection)
        super().finish()

    def handle(self) -> None:
        with suppress(OSError):  # a client that leaves in the middle is what some tests are about
            super().handle()

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw.decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.loopback.reply_to(Seen(self.command, self.path, headers, body))
        self._send(reply)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        has_body = reply.status not in (204, 304)
        for name, value in {**reply.headers, **({"transfer-encoding": "chunked"} if has_body else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if not has_body:
            return
        for number, chunk in enumerate(reply.chunks):
            if number == 1 and reply.gate:
                reply.gate.wait(30)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if reply.breaks_off:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Tests print their own."""
