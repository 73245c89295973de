"""A scripted model on loopback that speaks OpenAI's chat completions: no network, no key, no chance."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from peaky_peek.demo.script import Reply, Request, Script

if TYPE_CHECKING:
    from openai import OpenAI

CREATED = 1_767_225_600
"""When every answer says it was made (2026-01-01), so that two recordings of a story are equal."""
THINK_SECONDS = 0.004
CHUNK_SECONDS = 0.0005


class ModelServer(ThreadingHTTPServer):
    """A model server on a free port of this machine, until the end of the `with` block.

    The first part of the path chooses the script: `http://127.0.0.1:<port>/<story>/v1`.

    Args:
        scripts: story to script.

    Example:
        >>> from peaky_peek.demo.script import in_turn, say
        >>> with ModelServer({"hello": in_turn(say("Hello!"))}) as server:
        ...     server.url("hello").endswith("/hello/v1")
        True
    """

    daemon_threads = True

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scripts = scripts
        Thread(target=self.serve_forever, args=(0.05,), name="peaky-peek-demo-model", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *client: Any) -> None:
        """A client that hangs up after the last word is no fault; anything else is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*client)

    def url(self, story: str) -> str:
        """The `base_url` under which this story's model answers."""
        return f"http://127.0.0.1:{self.server_port}/{story}/v1"

    def client(self, story: str) -> OpenAI:
        """An `openai.OpenAI` that talks to this story's model; proxies set in the environment are not asked."""
        from openai import DefaultHttpxClient, OpenAI

        return OpenAI(base_url=self.url(story), api_key="demo", http_client=DefaultHttpxClient(trust_env=False))

    def answer(self, story: str, request: Request) -> Reply:
        """The reply of this story's script.

        Raises:
            LookupError: there is no such story, or its script has no answer to this conversation.
        """
        if story not in self.scripts:
            raise LookupError(f"the demo model knows no story {story!r}, only {', '.join(self.scripts)}")
        try:
            return self.scripts[story](request)
        except LookupError:
            raise LookupError(
                f"the demo model of {story!r} only knows its own script, and this conversation has left it"
            ) from None


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads chat completion requests and writes the script's replies."""

    server: ModelServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: object) -> None:
        """Say nothing: the recording is the log."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(body["model"], body["messages"], int(self.headers.get("X-Stainless-Retry-Count", 0)))
        time.sleep(THINK_SECONDS)
        try:
            reply = self.server.answer(self.path.split("/")[1], request)
        except LookupError as unknown:
            return self._send(404, _problem(str(unknown), "invalid_request_error"))
        if reply.http_error:
            return self._send(reply.http_error, _problem("Rate limit reached, try again in 5 ms.", "rate_limit_error"))
        completion = _Completion(request, reply)
        if body.get("stream"):
            return self._stream(completion.chunks(usage=bool((body.get("stream_options") or {}).get("include_usage"))))
        return self._send(200, completion.whole())

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After-Ms", "5")
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()

    def _stream(self, chunks: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in (*map(json.dumps, chunks), "[DONE]"):
            data = f"data: {line}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            time.sleep(CHUNK_SECONDS)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


class _Completion:
    """One reply in the shapes of the API. Ids come from the conversation, so they are the same in every run."""

    def __init__(self, request: Request, reply: Reply) -> None:
        self._request = request
        self._reply = reply
        self._key = hashlib.sha256(json.dumps(request.messages, sort_keys=True).encode()).hexdigest()[:20]

    @cached_property
    def _tool_calls(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f"call_{self._key[:12]}{n}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for n, (name, arguments) in enumerate(self._reply.calls)
        ]

    @cached_property
    def _usage(self) -> dict[str, int]:
        read, written = len(json.dumps(self._request.messages)) // 4, max(1, len(self._reply.written) // 4)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    def whole(self) -> dict[str, Any]:
        """The answer to a plain request."""
        message: dict[str, Any] = {"role": "assistant", "content": self._reply.text, "refusal": self._reply.refusal}
        if self._tool_calls:
            message["tool_calls"] = self._tool_calls
        choice = {"index": 0, "message": message, "finish_reason": self._reply.finish_reason, "logprobs": None}
        return self._frame("chat.completion", [choice], self._usage)

    def chunks(self, *, usage: bool) -> Iterator[dict[str, Any]]:
        """The answer to a streaming request, word by word."""
        yield self._delta({"role": "assistant", "content": None if self._tool_calls else ""})
        for word in re.findall(r"\S+\s*", self._reply.text or ""):
            yield self._delta({"content": word})
        for word in re.findall(r"\S+\s*", self._reply.refusal or ""):
            yield self._delta({"refusal": word})
        for n, tool_call in enumerate(self._tool_calls):
            function = tool_call["function"]
            yield self._delta({"tool_calls": [{"index": n, **tool_call, "function": {**function, "arguments": ""}}]})
            for piece in re.findall(r".{1,12}", function["arguments"]):
                yield self._delta({"tool_calls": [{"index": n, "function": {"arguments": piece}}]})
        yield self._delta({}, self._reply.finish_reason)
        if usage:
            yield self._frame("chat.completion.chunk", [], self._usage)

    def _delta(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return self._frame("chat.completion.chunk", [{"index": 0, "delta": delta, "finish_reason": finish_reason}])

    def _frame(self, kind: str, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._key}",
            "object": kind,
            "created": CREATED,
            "model": self._request.model,
            "choices": choices,
            "usage": usage,
        }


def _problem(message: str, kind: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}
