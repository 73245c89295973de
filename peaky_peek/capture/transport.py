"""The wire: one hook on `send` of the HTTP clients that model SDKs are built on sees every model call.

The client classes of `httpx`, `httpx2`, `aiohttp` and DSPy are patched, so it does not matter when a client is made, or
by which SDK; modules that are imported later are patched then. A request that is no model call passes untouched. The
application gets the very response that it would get anyway: only the stream of its body is looked at on the way.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any

from peaky_peek.capture import calls, context, streams
from peaky_peek.capture.context import inside
from peaky_peek.capture.patching import Method, Patch, Patches
from peaky_peek.capture.tracebacks import stepping_out

_in_httpx: ContextVar[bool] = ContextVar("peaky_peek_in_httpx", default=False)
"""Whether a client of httpx is sending, which may do so through aiohttp."""


def install() -> None:
    """Record the model calls of every client from now on, whenever it was made."""
    _patches.install()


def uninstall() -> None:
    """Put everything back; where another tool has patched on top of us, ours does nothing."""
    _patches.uninstall()


def missing() -> list[str]:
    """Return what the HTTP clients that are imported do not have, although it is to be patched."""
    return _patches.missing()


def _holding(original: Method) -> Method:
    def build_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = original(self, *args, **kwargs)
        if _patches.installed:
            calls.hold(request)
        return request

    return build_request


def _sync(module: str, original: Method) -> Method:
    stream = streams.watched(sys.modules[module].SyncByteStream)

    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        sender = self if context.tape is None else _player(module, self, request)
        call = calls.begin(request) if _patches.installed else None
        if call is None:
            with stepping_out:
                return original(sender, request, *args, **kwargs)
        with call, stepping_out:
            response = original(sender, request, *args, **kwargs)
        call.answered(response, stream)
        return response

    return send


def _async(module: str, original: Method) -> Method:
    stream = streams.watched_async(sys.modules[module].AsyncByteStream)

    async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        sender = self if context.tape is None else _player(module, self, request, is_async=True)
        call = calls.begin(request) if _patches.installed else None
        if call is None:
            with stepping_out:
                return await original(sender, request, *args, **kwargs)
        with call, inside(True, _in_httpx), stepping_out:
            response = await original(sender, request, *args, **kwargs)
        call.answered(response, stream)
        return response

    return send


def _aiohttp(original: Method) -> Method:
    from peaky_peek.capture import aiohttp_client, other_clients

    async def _request(self: Any, method: str, str_or_url: Any, **options: Any) -> Any:
        is_ours = _patches.installed and not _in_httpx.get()
        request = aiohttp_client.request(self, method, str_or_url, options) if is_ours else None
        call = other_clients.begin(request) if request is not None else None
        played = None if context.tape is None or request is None else calls.play(request)
        if call is None and played is None:
            with stepping_out:
                return await original(self, method, str_or_url, **options)
        with call or nullcontext(), stepping_out:
            if played is None:
                response = await original(self, method, str_or_url, **options)
            else:
                from peaky_peek.capture import aiohttp_playback

                response = await aiohttp_playback.play(
                    self, played, lambda session: original(session, method, str_or_url, **options)
                )
        if call is not None:
            aiohttp_client.answered(call, response)
        return response

    return _request


def _lm15(original: Method) -> Method:
    from peaky_peek.capture import lm15_client

    def stream(self: Any, request: Any) -> Any:
        call = lm15_client.begin(request) if _patches.installed else None
        if call is None:
            with stepping_out:
                return original(self, request)
        with call, stepping_out:
            response = original(self, request)
        lm15_client.answered(call, response)
        return response

    return stream


def _lm15_async(original: Method) -> Method:
    from peaky_peek.capture import lm15_client

    async def stream(self: Any, request: Any) -> Any:
        call = lm15_client.begin(request) if _patches.installed else None
        if call is None:
            with stepping_out:
                return await original(self, request)
        with call, stepping_out:
            response = await original(self, request)
        lm15_client.answered_async(call, response)
        return response

    return stream


def _player(module: str, client: Any, request: Any, *, is_async: bool = False) -> Any:
    """Return who sends a request while a tape is played: the client itself only what is no model call.

    Raises:
        NotOnTape: it is a model call that was not recorded.
    """
    exchange = calls.play(request)
    if exchange is None:
        return client
    from peaky_peek.capture import playback

    return playback.client(sys.modules[module], client, exchange, is_async=is_async)


_patches = Patches(
    *(
        Patch(module, client, (name,), wrap)
        for module in ("httpx", "httpx2")
        for client, name, wrap in (
            ("Client", "send", partial(_sync, module)),
            ("AsyncClient", "send", partial(_async, module)),
            ("Client", "build_request", _holding),
            ("AsyncClient", "build_request", _holding),
        )
    ),
    Patch("aiohttp", "ClientSession", ("_request",), _aiohttp),
    Patch("dspy._vendor.lm15.transports", "StdlibTransport", ("stream",), _lm15),
    Patch("dspy._vendor.lm15.transports", "StdlibAsyncTransport", ("_do_stream",), _lm15_async),
)
