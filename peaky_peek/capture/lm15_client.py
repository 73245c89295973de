"""lm15, the HTTP client that DSPy carries with it, over sockets of its own: its requests and responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from peaky_peek.capture import calls, context, faults, other_clients, streams
from peaky_peek.capture.calls import Call
from peaky_peek.capture.other_clients import Request, Response, may_be_model_call
from peaky_peek.errors import NotOnTape


def begin(request: Any) -> Call | None:
    """Journal a request that is about to be sent; return None when it is no model call.

    Raises:
        NotOnTape: a tape is played, which gives its answers to httpx and aiohttp only.
        RunStopped: the run is beyond its limits.
    """
    sent = _request(request)
    if sent is None:
        return None
    if context.tape is not None and calls.play(sent) is not None:
        host = urlsplit(sent.url).hostname
        raise NotOnTape(f"The answer of {host} is recorded, but the client of DSPy cannot be played to.")
    return other_clients.begin(sent)


@faults.guarded
def _request(request: Any) -> Request | None:
    if not may_be_model_call(request.method, request.url):
        return None
    return Request(request.method, request.url, request.headers, bytes(request.body))


@faults.guarded
def answered(call: Call, response: Any) -> None:
    """Take note of a response, and look at its body on the way to the application."""
    watched = Response(response.status, response.headers, response._chunks)
    call.answered(watched, streams.watched(object))
    response._chunks, response._release = watched.stream, _releasing(response._release, call)


@faults.guarded
def answered_async(call: Call, response: Any) -> None:
    """Do the same for an asynchronous response."""
    watched = Response(response.status, response.headers, response._chunks)
    call.answered(watched, streams.watched_async(object))
    response._chunks, response._release = watched.stream, _releasing_async(response._release, call)


def _releasing(release: Callable[[bool], None], call: Call) -> Callable[[bool], None]:
    def released(body_consumed: bool) -> None:
        call.ended()  # if its body was not read to the end
        release(body_consumed)

    return released


def _releasing_async(release: Callable[[bool], Any], call: Call) -> Callable[[bool], Any]:
    async def released(body_consumed: bool) -> None:
        call.ended()
        await release(body_consumed)

    return released
