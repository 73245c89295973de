"""Plays a recorded exchange to an HTTP client, byte for byte and chunk for chunk, in the place of the network."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from peaky_peek.capture.served import patience
from peaky_peek.errors import NotOnTape

if TYPE_CHECKING:
    from peaky_peek.store.exchanges import Exchange


def client(library: ModuleType, original: Any, exchange: Exchange, *, is_async: bool) -> Any:
    """Return a client that answers any request with an exchange, and is like the original in what users see of it.

    Args:
        library: `httpx` or `httpx2`.
        original: the client that was asked to send.
        exchange: what it gets to see.
        is_async: whether it is an asynchronous client.
    """
    kind = library.AsyncClient if is_async else library.Client
    played = kind(transport=_transport(library, exchange), trust_env=False, event_hooks=original.event_hooks)
    played.follow_redirects = original.follow_redirects
    return played


def failure(library: ModuleType, said: str, request: Any) -> BaseException:
    """Return the exception that a recorded one was: of the library, or of Python."""
    name, _, message = said.partition(": ")
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        return kind(message)
    make: Any = getattr(library, name, None)
    if not (isinstance(make, type) and issubclass(make, library.RequestError)):
        make = library.TransportError
    error: BaseException = make(message, request=request)
    return error


def _transport(library: ModuleType, exchange: Exchange) -> Any:
    class Stream(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, request: Any) -> None:
            self._request = request

        def __iter__(self) -> Iterator[bytes]:
            yield from chunks(exchange)
            _end(library, exchange, self._request)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in chunks(exchange):
                yield chunk
            await wait_if_cancelled(exchange)
            _end(library, exchange, self._request)

    class Playback(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        def handle_request(self, request: Any) -> Any:
            if exchange.status is None:
                raise missing(exchange) or failure(library, exchange.error or "", request)
            headers = [(name, value) for name, value in exchange.response_headers if name != "content-length"]
            return library.Response(exchange.status, headers=headers, stream=Stream(request))

        async def handle_async_request(self, request: Any) -> Any:
            if exchange.status is None:
                await wait_if_cancelled(exchange)
            return self.handle_request(request)

    return Playback()


def _end(library: ModuleType, exchange: Exchange, request: Any) -> None:
    """End a body as it ended."""
    if exchange.error is not None:
        raise failure(library, exchange.error, request)
    if (problem := missing(exchange)) is not None:
        raise problem


async def wait_if_cancelled(exchange: Exchange) -> None:
    """Wait, a while, for a request to be cancelled that was cancelled when it was recorded."""
    if missing(exchange) is not None:
        await asyncio.sleep(patience((exchange.duration_ms or 0) / 1000))


def missing(exchange: Exchange) -> NotOnTape | None:
    """Return what to raise where the recording of a response ends, because the application turned away from it."""
    if exchange.error is not None or exchange.complete:
        return None
    if exchange.status is None:
        return NotOnTape(f"The request to {exchange.url} was cancelled when it was recorded, and is not now.")
    is_stream = any(name == "content-type" and "event-stream" in value for name, value in exchange.response_headers)
    if not is_stream or b'"error"' in exchange.response:
        return None
    return NotOnTape(
        f"The stream of {exchange.url} was not read to its end when it was recorded, and more is asked of it now:"
        " record the run again."
    )


def chunks(exchange: Exchange) -> Iterator[bytes]:
    """Yield the body of a response as it came."""
    at = 0
    for size in exchange.chunk_sizes:
        yield exchange.response[at : at + size]
        at += size
    if rest := exchange.response[at:]:
        yield rest
