"""Clients that are no httpx: their requests and responses in the form that `calls` looks at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from peaky_peek.capture import calls, providers
from peaky_peek.capture.calls import Call


def may_be_model_call(method: str, url: str) -> bool:
    """Tell whether a request is worth a closer look."""
    return method.upper() == "POST" and urlsplit(url).path.endswith(providers.PATHS)


class Request:
    """A request as `calls` looks at it."""

    def __init__(self, method: str, url: str, headers: Any, content: bytes) -> None:
        self.method = method.upper()
        self.url = Url(url)
        self.headers = Headers(headers)
        self.content = content
        self.extensions: dict[str, Any] = {}


class Url(str):
    """An address that knows its path."""

    __slots__ = ()

    @property
    def path(self) -> str:
        """The path, without the query."""
        return urlsplit(self).path


class Headers:
    """Headers by lower-case name, and as they are on the line."""

    def __init__(self, headers: Any) -> None:
        pairs = headers.items() if hasattr(headers, "items") else headers or ()
        self.raw = [(str(name).lower().encode(), str(value).encode()) for name, value in pairs]

    def get(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next((value.decode() for known, value in self.raw if known == name.encode()), None)


class Response:
    """A response as `calls` looks at it: its body is still to come, decoded."""

    is_closed = False

    def __init__(self, status: int, headers: Iterable[tuple[str, str]], stream: Any) -> None:
        self.status_code = status
        self.headers = Headers([each for each in headers if each[0].lower() != "content-encoding"])
        self.stream = stream


def begin(sent: Request) -> Call | None:
    """Journal a request that is about to be sent.

    Raises:
        NotOnTape: a tape is played, and it was not recorded.
        RunStopped: the run is beyond its limits.
    """
    calls.hold(sent)
    return calls.begin(sent)
