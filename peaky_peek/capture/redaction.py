"""Redaction: secrets leave a record before it is written anywhere.

Two stages. One Aho-Corasick pass over the encoded bytes looks for literals that credentials contain; a record without
any, which is nearly every record, is done. Where one stands, and only there, a pattern decides (see `credentials`).

A secret becomes `[redacted:<kind>:<8 hex>]`. The hex is an HMAC under a key that stays beside the store, so equal
secrets stay equal and comparing runs still works, and nobody without the key can test a guess.
"""

from __future__ import annotations

import base64
import functools
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from peaky_peek.capture.credentials import SHAPES, STEMS, Shape

_REDACTED = re.compile(rb"\[redacted:[a-z-]+:[0-9a-f]{8}\]")
_SCHEME = re.compile(r"(?i:(?:bearer|basic|token|bot|digest|apikey|key) +)?")
Strike = tuple[int, int, int]  # which marker, and where it begins and ends
_LOOK_BACK = 600  # how far before its marker a credential may begin

# What is kept of HTTP: the names that explain a call. Every other value is replaced, known or not.
_HEADERS = frozenset(
    """accept accept-encoding accept-language age cache-control connection content-encoding content-length content-type
    date etag expires host last-modified request-id retry-after retry-after-ms server traceparent transfer-encoding
    user-agent vary via anthropic-beta anthropic-version cf-ray openai-beta openai-model openai-processing-ms
    openai-version x-request-id x-ms-region x-ms-request-id x-should-retry idempotency-key""".split()
)
_HEADER_FAMILIES = ("x-stainless-", "x-ratelimit-", "anthropic-ratelimit-", "x-envoy-", "x-goog-request-", "ratelimit-")
_PARAMETERS = frozenset(
    """after alt api-version beta before format include include[] lang limit model offset order page stream timeout v
    version""".split()
)


class Redactor:
    """Replaces secrets in what is about to be recorded.

    Args:
        mode: "secrets", or None to leave everything as it is.
        key: Gives the HMAC key; called once, at the first secret.

    Example:
        >>> redactor = Redactor(key=lambda: b"not so secret")
        >>> redactor.clean(b'{"note": "hello"}')
        b'{"note": "hello"}'
        >>> redactor.clean(b'{"password": "correct horse"}')
        b'{"password": "[redacted:secret:fef9dcfb]"}'
    """

    def __init__(self, mode: Literal["secrets"] | None = "secrets", *, key: Callable[[], bytes]) -> None:
        self.mode = mode
        self._key = functools.cache(key)
        self._strikes = _prefilter() if mode else _nothing

    def clean(self, data: bytes) -> bytes:
        """Return `data` without secrets: JSON stays JSON with the same structure, and cleaning again changes nothing.

        Args:
            data: Encoded JSON or a raw HTTP body.
        """
        if not (strikes := self._strikes(data)):
            return data
        for _ in range(4):  # what stood against a secret may stand free once it is gone
            if not (spans := _spans(data, strikes)):
                break
            data = self._replace(data, spans)
            strikes = self._strikes(data)
        return data

    def clean_headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the headers in order, with the values of all but well-known harmless names replaced."""
        if not self.mode:
            return list(headers)
        return [(name, self._header(name.lower(), value)) for name, value in headers]

    def clean_url(self, url: str) -> str:
        """Return the URL without login, and with the values of all but well-known harmless parameters replaced."""
        if not self.mode:
            return url
        address, mark, query = self._text(url).partition("?")
        scheme, slashes, rest = address.rpartition("://")
        host, slash, path = rest.partition("/")
        login, at, host = host.rpartition("@")
        login = self._hidden(login) if login else login
        query = "&".join(self._parameter(parameter) for parameter in query.split("&"))
        return f"{scheme}{slashes}{login}{at}{host}{slash}{path}{mark}{query}"

    def _text(self, text: str) -> str:
        return self.clean(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def _header(self, name: str, value: str) -> str:
        if name in _HEADERS or name.startswith(_HEADER_FAMILIES):
            return self._text(value)
        scheme = _SCHEME.match(value)
        start = scheme.end() if scheme else 0
        return value[:start] + self._hidden(value[start:])

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        return parameter if name.lower() in _PARAMETERS else f"{name}{equals}{self._hidden(value)}"

    def _hidden(self, value: str) -> str:
        return self._token("secret", value.encode("utf-8", "surrogateescape")).decode() if value else value

    def _replace(self, data: bytes, spans: list[tuple[int, int, str]]) -> bytes:
        parts: list[bytes] = []
        end = 0
        for start, stop, kind in spans:
            if kind == "bytes":
                token = base64.b64encode(self.clean(base64.b64decode(data[start:stop])))
            else:
                token = self._token(kind, data[start:stop])
            is_number = data[start:stop].isdigit() and data[max(0, start - 8) : start].rstrip().endswith(b'":')
            parts += data[end:start], b'"' + token + b'"' if is_number else token
            end = stop
        return b"".join((*parts, data[end:]))

    def _token(self, kind: str, secret: bytes) -> bytes:
        """Return what stands for a secret: the same wherever the same secret stands."""
        import hmac

        if _REDACTED.fullmatch(secret):
            return secret
        kind = _kind(secret) or kind
        if kind == "private-key":
            secret = re.sub(rb"\s|\\+[nrt]", b"", secret)
        return b"[redacted:%b:%b]" % (kind.encode(), hmac.digest(self._key(), secret, "sha256").hex()[:8].encode())


def load_key(path: str | os.PathLike[str]) -> bytes:
    """Return the key in the file at `path`, which is made with a new random key (mode 0600) if it does not exist.

    Processes that start at once get the same key. Where the file can be neither read nor made, the key lasts as long
    as the process: secrets are still replaced, but equal ones only look equal within this run.
    """
    import tempfile

    path = Path(path)
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(os.urandom(32))
            try:
                os.link(draft, path)  # all or nothing, and the first one wins
            except FileExistsError:
                pass
            finally:
                Path(draft).unlink()
        return path.read_bytes()
    except OSError:
        return os.urandom(32)


def _nothing(_: bytes) -> list[Strike]:
    return []


@functools.cache
def _prefilter() -> Callable[[bytes], list[Strike]]:
    """Return the search for markers.

    A search for up to 64 literals runs on vector instructions, much faster than one for more. Two such searches, for
    parts of the markers, settle nearly every record; only if one strikes are the markers themselves sought.
    """
    from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

    first, second = (BytesAhoCorasick(part, MatchKind.LeftmostFirst).find_matches_as_indexes for part in screens())
    markers = BytesAhoCorasick(_MARKERS, implementation=Implementation.DFA).find_matches_as_indexes

    def strikes(data: bytes) -> list[Strike]:
        if first(data) or second(data) or b"@" in data:
            return markers(data, True)
        return []

    return strikes


def screens() -> tuple[list[bytes], list[bytes]]:
    """Return two lists of at most 64 literals. Every marker but "@" contains one of them."""
    parts = list(STEMS)
    for marker in sorted(_MARKERS, key=len):
        if marker != b"@" and not any(part in marker for part in parts):
            parts.append(marker)
    # Most text is small letters: literals that begin with them are told from it best by themselves, by four letters.
    parts.sort(key=lambda part: (len(part) > 3 and part.islower(), part))
    return parts[: len(parts) // 2], parts[len(parts) // 2 :]


@functools.cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


def _spans(data: bytes, strikes: list[Strike]) -> list[tuple[int, int, str]]:
    """Return where secrets stand, in order and apart: start, end, kind."""
    found: list[tuple[int, int, str]] = []
    done = 0
    for marker, at, _ in strikes:
        for shape in _SHAPES_OF[marker]:
            if (at >= done or shape.back) and (place := _locate(shape, data, at)):
                found.append((*place, shape.kind))
                done = max(done, place[1])
    apart: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(found):
        if apart and start < apart[-1][1]:
            first = apart.pop()
            apart.append((first[0], max(end, first[1]), first[2]))
        else:
            apart.append((start, end, kind))
    return apart


def _locate(shape: Shape, data: bytes, at: int) -> tuple[int, int] | None:
    """Return start and end of the credential whose marker is at `at`, if it is one."""
    back = shape.back
    begin = at - back if isinstance(back, int) else data.rfind(back, max(0, at - _LOOK_BACK), at)
    proof = _compiled(shape.pattern).match(data, begin) if begin >= 0 else None
    if not proof:
        return None
    start, end = proof.span(proof.lastindex or 0)
    if _REDACTED.fullmatch(data, start, end) or (shape.holds and not shape.holds(data[start:end])):
        return None
    return start, end


def _kind(secret: bytes) -> str | None:
    """Return what a secret is by its own shape, for one that was found by its place."""
    for marker, at, _ in _prefilter()(secret):
        for shape in _SHAPES_OF[marker]:
            if shape.kind != "secret" and _locate(shape, secret, at) == (0, len(secret)):
                return shape.kind
    return None


def _hides_secrets(text: bytes) -> bool:
    """Tell whether recorded bytes, which the store keeps as base64, hold secrets."""
    try:
        data = base64.b64decode(text)
    except ValueError:  # not ours: a raw body may say anything
        return False
    return bool(_spans(data, _prefilter()(data)))


_RECORDED_BYTES = Shape(
    "bytes", (b'"__peek__":"bytes"',), rb'"__peek__":"bytes","value":"([A-Za-z0-9+/=]+)"', holds=_hides_secrets
)
_SHAPES_BY_MARKER: dict[bytes, list[Shape]] = {}
for _shape in (*SHAPES, _RECORDED_BYTES):
    for _marker in _shape.markers:
        _SHAPES_BY_MARKER.setdefault(_marker, []).append(_shape)
_MARKERS, _SHAPES_OF = list(_SHAPES_BY_MARKER), list(_SHAPES_BY_MARKER.values())
