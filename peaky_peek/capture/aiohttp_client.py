"""aiohttp's client, which some SDKs prefer where it is installed: what it is asked, and what it reads."""

from __future__ import annotations

import sys
import weakref
from typing import Any
from urllib.parse import urlencode

import orjson

from peaky_peek.capture import faults
from peaky_peek.capture.calls import Call
from peaky_peek.capture.other_clients import Request, Response, may_be_model_call


@faults.guarded
def request(session: Any, method: str, address: Any, options: dict[str, Any]) -> Request | None:
    """Return what is about to be sent, or None when it is no model call.

    Args:
        session: The `aiohttp.ClientSession`.
        method: As given to it.
        address: As given to it: text or a `yarl.URL`, below its base URL or not.
        options: The rest of what is given.
    """
    url = str(address)
    if not may_be_model_call(method, url):
        return None
    if "://" not in url:
        url = f"{str(getattr(session, '_base_url', None) or '').rstrip('/')}/{url.lstrip('/')}"
    if params := options.get("params"):
        url += ("&" if "?" in url else "?") + (params if isinstance(params, str) else urlencode(params, doseq=True))
    data = options.get("data")
    if data is None and options.get("json") is not None:
        data = orjson.dumps(options["json"])
    if isinstance(data, str):
        data = data.encode()
    return Request(method, url, options.get("headers"), bytes(data)) if isinstance(data, (bytes, bytearray)) else None


@faults.guarded
def answered(call: Call, response: Any) -> None:
    """Take note of a response, and look at its body on the way to the application."""
    call.answered(Response(response.status, response.headers.items(), response.content), _watch)
    if type(response.content) is not _watched():  # there is no body
        call.ended(complete=True)
    else:
        weakref.finalize(response, _dropped, id(response.content), call).atexit = False


_calls: dict[int, Call] = {}
"""The call whose body a reader reads, by the reader's id: it has no room for it itself."""


def _watch(reader: Any, call: Call) -> Any:
    if type(reader) is sys.modules["aiohttp"].StreamReader:
        _calls[id(reader)] = call
        reader.__class__ = _watched()
        if reader.at_eof():
            _ended(reader, complete=True)
    return reader


def _ended(reader: Any, error: BaseException | None = None, *, complete: bool = False) -> None:
    call = _calls.pop(id(reader), None)
    if call is not None:
        call.ended(error, complete=complete)


def _dropped(reader_id: int, call: Call) -> None:
    if _calls.get(reader_id) is call:
        del _calls[reader_id]
    call.ended()


_classes: dict[type, type] = {}


def _watched() -> type:
    """Return the class of readers that tell a call what the application reads; of the same layout as theirs."""
    base: Any = sys.modules["aiohttp"].StreamReader
    if base in _classes:
        return _classes[base]

    class Reader(base):  # type: ignore[misc]
        __slots__ = ()

        def _read_nowait_chunk(self, n: int) -> bytes:  # every way of reading comes by here
            data: bytes = super()._read_nowait_chunk(n)
            call = _calls.get(id(self))
            if call is not None:
                call.received(data)
                if self.at_eof():
                    _ended(self, complete=True)
            return data

        def feed_eof(self) -> None:
            super().feed_eof()
            if self.at_eof():
                _ended(self, complete=True)

        def set_exception(self, exc: BaseException, *args: Any, **kwargs: Any) -> None:
            super().set_exception(exc, *args, **kwargs)
            closed = type(exc) is sys.modules["aiohttp"].ClientConnectionError  # by the application: nothing failed
            _ended(self, None if closed else exc)

    return _classes.setdefault(base, Reader)
