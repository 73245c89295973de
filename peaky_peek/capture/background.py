"""Model calls that the provider goes on with in the background: the answer is fetched until it is there.

Each fetch is an exchange of the call, as a retry is; the one that brings the answer answers the call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson

from peaky_peek.capture.context import Scope
from peaky_peek.capture.recent import Recent

_ASKED = re.compile(rb'"background": ?true')
_FETCHED = re.compile(r"/responses/([\w-]+)(/cancel)?$")
_ID = re.compile(rb'"id": ?"(\w+)"')
_RUNNING = ("queued", "in_progress")


@dataclass(slots=True)
class Waiting:
    """A call whose answer is still to come."""

    scope: Scope
    event_id: str
    attempts: int


_waiting = Recent[str, Waiting](64)
"""By the provider's id of the answer."""


def is_asked(path: str, body: bytes) -> bool:
    """Tell whether a model call is to run in the background."""
    return path.endswith("/responses") and _ASKED.search(body) is not None


def fetched(method: str, path: str) -> Waiting | None:
    """Return the call whose answer a request fetches, or that it cancels; None when it is about none that we know."""
    answer_id = of(method, path) if _waiting else None
    return None if answer_id is None else _waiting.get(answer_id)


def of(method: str, path: str) -> str | None:
    """Return the provider's id of the answer that a request fetches, or that it cancels; None for other requests."""
    found = _FETCHED.search(path)
    return found[1] if found is not None and method == ("POST" if found[2] else "GET") else None


def announced(body: bytes) -> str | None:
    """Return the id of the answer that a response brings or promises."""
    found = _ID.search(body)
    return None if found is None else found[1].decode()


def came(waiting: Waiting, body: bytes) -> None:
    """Take note of what came: remember the call as long as it is said to be running, and forget it then."""
    answer_id = announced(body)
    if answer_id is None:
        return
    if is_running(body):
        _waiting[answer_id] = waiting
    else:
        _waiting.pop(answer_id, None)


def is_running(body: bytes) -> bool:
    """Tell whether a response says that its answer is still to come."""
    try:
        return orjson.loads(body).get("status") in _RUNNING
    except (ValueError, AttributeError):  # a stream, whose last event says it
        return b"event: response.created" in body[:100_000] and not re.search(
            rb'"type": ?"response\.(completed|incomplete|failed)"', body
        )
