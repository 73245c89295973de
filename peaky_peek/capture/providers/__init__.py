"""Model providers: which requests are model calls, and what their bytes say.

Only recognising happens on the caller's path. Reading happens when the journal is ingested, by the modules named here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from peaky_peek.store import exchange_records

exchange_records.MEANING = f"{__name__}.meaning"


class Endpoint(NamedTuple):
    """A kind of model call: how its path ends, what its JSON body must contain one of, and the module that reads it."""

    path: str
    markers: tuple[bytes, ...]
    module: str


ENDPOINTS = (
    Endpoint("/chat/completions", (b'"messages"',), "openai_chat"),
    Endpoint("/completions", (b'"prompt"',), "openai_completions"),
    Endpoint("/responses", (b'"input"', b'"prompt"', b'"model"'), "openai_responses"),
    Endpoint("/responses/compact", (b'"model"',), "openai_responses"),
    Endpoint("/embeddings", (b'"input"',), "openai_embeddings"),
    Endpoint("/v1/messages", (b'"messages"',), "anthropic_messages"),
    Endpoint(":rawPredict", (b'"messages"',), "anthropic_messages"),
    Endpoint(":streamRawPredict", (b'"messages"',), "anthropic_messages"),
    Endpoint("/v1/complete", (b'"prompt"',), "anthropic_completions"),
    Endpoint(":generateContent", (b'"contents"',), "gemini"),
    Endpoint(":streamGenerateContent", (b'"contents"',), "gemini"),
    Endpoint(":embedContent", (b'"content"',), "gemini_embeddings"),
    Endpoint(":batchEmbedContents", (b'"requests"',), "gemini_embeddings"),
)
"""A path is told by its end, whatever the host: people have proxies, gateways and servers of their own. The first row
that fits is meant."""

_LATER = re.compile(r"(?<=/responses)/[\w-]+(/cancel)?$")
"""Where the answer to a call is fetched that runs in the background."""

BLOCK = 64
"""Positions reserved for what a request means, and for its response. The `llm_request` has the last of its own."""

PATHS = tuple(endpoint.path for endpoint in ENDPOINTS)


def recognises(path: str, body: bytes) -> bool:
    """Tell whether a POST is a model call that we can read.

    >>> recognises("/openai/deployments/ours/chat/completions", b'{"messages": []}')
    True
    """
    endpoint = _endpoint(path) if path.endswith(PATHS) and body.startswith(b"{") else None
    return endpoint is not None and any(marker in body for marker in endpoint.markers)


def may_be_retried(status: int | None, headers: list[tuple[str, str]]) -> bool:
    """Tell whether an SDK may send a failed request again, by the rule that they share; None: no response came."""
    wish = dict(headers).get("x-should-retry")
    if wish in ("true", "false"):
        return wish == "true"
    return status is None or status in (408, 409, 429) or status >= 500


def module_for(url: str) -> str | None:
    """Return the dotted name of the module that reads a recorded exchange, a `fields.Provider`."""
    path = url.partition("?")[0]
    endpoint = _endpoint(path) or _endpoint(_LATER.sub("", path))
    return f"{__name__}.{endpoint.module}" if endpoint else None


def _endpoint(path: str) -> Endpoint | None:
    return next((endpoint for endpoint in ENDPOINTS if path.endswith(endpoint.path)), None)
