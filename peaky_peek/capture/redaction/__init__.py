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
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from peaky_peek.capture.redaction import detection
from peaky_peek.capture.redaction.credentials import REDACTED, quoted
from peaky_peek.capture.redaction.detection import Found

# What is kept of a query: the parameters that explain a call. Every other value is replaced, known or not.
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
        self._strikes = detection.prefilter() if mode else _nothing
        self.clean_record: Callable[[bytes], bytes] = self.clean
        """Cleans a record of the journal; `clean` is for what stands in one."""
        self.clean_part: Callable[[bytes], bytes] | None = None
        """Cleans a part of a body, where `clean` must see all of it."""

    def clean(self, data: bytes) -> bytes:
        """Return `data` without secrets: JSON stays JSON with the same structure, and cleaning again changes nothing.

        Args:
            data: Encoded JSON or a raw HTTP body.
        """
        if not (strikes := self._strikes(data)):
            return data
        for _ in range(4):  # what stood against a secret may stand free once it is gone
            if not (found := detection.find(data, strikes)):
                break
            data = self._replace(data, found)
            strikes = self._strikes(data)
        return data

    def clean_url(self, url: str) -> str:
        """Return the URL without login, and with the values of all but well-known harmless parameters replaced."""
        if not self.mode:
            return url
        address, mark, query = self.clean_text(url).partition("?")
        scheme, slashes, rest = address.rpartition("://")
        host, slash, path = rest.partition("/")
        login, at, host = host.rpartition("@")
        login = self._hidden(login)
        query = "&".join(self._parameter(parameter) for parameter in query.split("&"))
        return f"{scheme}{slashes}{login}{at}{host}{slash}{path}{mark}{query}"

    def clean_text(self, text: str) -> str:
        """Return text without secrets."""
        return self.clean(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def _parameter(self, parameter: str) -> str:
        name, equals, value = parameter.partition("=")
        return parameter if name.lower() in _PARAMETERS else f"{name}{equals}{self._hidden(value)}"

    def _hidden(self, value: str, kind: str = "secret") -> str:
        return self._token(kind, value.encode("utf-8", "surrogatepass")).decode() if value else value

    def _replace(self, data: bytes, found: list[Found]) -> bytes:
        parts: list[bytes] = []
        end = 0
        for start, stop, kind, secret in found:
            parts += data[end:start], self._instead(kind, secret)
            end = stop
        return b"".join((*parts, data[end:]))

    def _instead(self, kind: str, secret: bytes) -> bytes:
        """Return what to write in place of a secret, so that JSON stays JSON."""
        if kind == "bytes":
            return base64.b64encode(Redactor.clean(self, base64.b64decode(secret)))
        if kind == "list":
            return self._each(secret)
        token = self._token("secret" if kind == "value" else kind, secret)
        return b'"' + token + b'"' if kind == "value" else token

    def _each(self, items: bytes) -> bytes:
        """Return a list with each of its items replaced."""
        backslashes = len(items) - len(items.lstrip(b"\\"))
        quote, text = quoted(backslashes) if items[backslashes:].startswith(b'"') else (rb"\\*'", rb"[^'\\]+")
        item = re.compile(b"(%b)(%b)(%b)" % (quote, text, quote), re.DOTALL)
        return item.sub(lambda found: found[1] + self._token("secret", found[2]) + found[3], items)

    def _token(self, kind: str, secret: bytes) -> bytes:
        """Return what stands for a secret: the same wherever the same secret stands."""
        import hmac

        if REDACTED.fullmatch(secret):
            return secret
        kind = detection.kind_of(secret) or kind
        if kind == "private-key":
            secret = re.sub(rb"\s|\\+[nrt]|[|>#]", b"", secret)
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


def _nothing(_: bytes) -> list[detection.Strike]:
    return []
