"""Plays a recorded exchange to an HTTP client, byte for byte and chunk for chunk, in the place of the network."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

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
            yield from _chunks(exchange)
            if exchange.error is not None:
                raise failure(library, exchange.error, self._request)
            if _was_left(exchange):
                raise NotOnTape(
                    f"The stream of {exchange.url} was not read to its end when it was recorded, and more is asked of"
                    " it now: record the run again."
                )

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self:
                yield chunk

    class Playback(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        def handle_request(self, request: Any) -> Any:
            if exchange.status is None:
                raise failure(library, exchange.error or "", request)
            headers = [(name, value) for name, value in exchange.response_headers if name != "content-length"]
            return library.Response(exchange.status, headers=headers, stream=Stream(request))

        async def handle_async_request(self, request: Any) -> Any:
            return self.handle_request(request)

    return Playback()


def _chunks(exchange: Exchange) -> Iterator[bytes]:
    at = 0
    for size in exchange.chunk_sizes:
        yield exchange.response[at : at + size]
        at += size
    if rest := exchange.response[at:]:
        yield rest


def _was_left(exchange: Exchange) -> bool:
    """Tell whether the application turned away before a stream was over."""
    is_stream = any(name == "content-type" and "event-stream" in value for name, value in exchange.response_headers)
    return is_stream and not exchange.complete and b'"error"' not in exchange.response
