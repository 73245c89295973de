"""Plays a recorded exchange to aiohttp: its own parser reads it, from a line that leads nowhere."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from http.client import responses
from importlib import import_module
from typing import TYPE_CHECKING, Any

from peaky_peek.capture import playback, raised
from peaky_peek.capture.served import patience

if TYPE_CHECKING:
    from peaky_peek.store.exchanges import Exchange


_base: Any = import_module("aiohttp").BaseConnector
_handler: Any = import_module("aiohttp.client_proto").ResponseHandler


async def play(session: Any, exchange: Exchange, send: Callable[[Any], Awaitable[Any]]) -> Any:
    """Return the response that a session gets to a request.

    Args:
        session: The `aiohttp.ClientSession`.
        exchange: What it gets to see.
        send: Sends the request, with a session that is like it but for where its lines lead.
    """
    if exchange.status is None:
        await playback.wait_if_cancelled(exchange)
        raise failure(exchange)
    played = copy.copy(session)
    played._connector = _Line(exchange)
    try:
        return await send(played)
    finally:
        played.detach()  # the response holds what it needs


def failure(exchange: Exchange) -> Exception:
    """Return the exception that a recorded one was."""
    said = exchange.error or ""
    return raised.again(said, {"type": f"aiohttp.client_exceptions.{said.partition(': ')[0]}"})


class _Line(_base):  # type: ignore[misc]
    """A connector whose every connection brings the exchange."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(force_close=True)
        self._exchange = exchange

    async def _create_connection(self, *_: Any, **__: Any) -> Any:
        handler = _handler(asyncio.get_running_loop())
        handler.connection_made(_Nowhere())
        asyncio.get_running_loop().call_soon(_bring, handler, self._exchange)
        return handler


class _Nowhere(asyncio.Transport):
    """What the request is written into."""

    _closing = False

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    abort = close

    def write(self, data: Any) -> None:
        pass

    def writelines(self, list_of_data: Any) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def _bring(handler: Any, exchange: Exchange) -> None:
    """Let a response arrive, chunk by chunk, and end as it ended."""
    headers = [f"{name}: {value}\r\n" for name, value in exchange.response_headers if name != "content-length"]
    headers.append("transfer-encoding: chunked\r\n\r\n")
    handler.data_received(
        f"HTTP/1.1 {exchange.status} {responses.get(exchange.status or 0, '')}\r\n{''.join(headers)}".encode("latin-1")
    )
    for chunk in playback.chunks(exchange):
        if chunk:
            handler.data_received(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    if exchange.error is not None:
        handler.connection_lost(failure(exchange))
    elif (missing := playback.missing(exchange)) is None:
        handler.data_received(b"0\r\n\r\n")
    else:
        loop = asyncio.get_running_loop()
        loop.call_later(patience((exchange.duration_ms or 0) / 1000), handler.connection_lost, missing)
