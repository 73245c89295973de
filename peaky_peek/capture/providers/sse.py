"""Server-sent events, the format of every provider's streams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\r|\n)")
_TEXTS = (
    b"content", b"arguments", b"input", b"refusal", b"reasoning", b"reasoning_content", b"text", b"thinking",
    b"partial_json", b"delta",
)  # fmt: skip
"""The fields that providers cut texts into pieces under."""
_REDACTED = re.compile(rb"\[redacted:[a-z-]+:[0-9a-f]{8}\]")


def events(body: bytes) -> Iterator[tuple[int, bytes]]:
    r"""Yield each event of a stream as (offset of its end, data).

    An event counts once the blank line after it has arrived, as it does for the SDKs.

    >>> list(events(b": ping\n\ndata: {}\n\ndata: cut o"))
    [(18, b'{}')]
    """
    data: list[bytes] = []
    for line in _LINE.finditer(body):
        text = line[1]
        if not text:
            if data:
                yield line.end(), b"\n".join(data)
                data = []
        elif text.startswith(b"data:"):
            data.append(text[5:].removeprefix(b" "))


def cleaned(body: bytes, clean: Callable[[bytes], bytes]) -> bytes:
    """Return a stream without secrets, those that are cut into several events included.

    A secret that is cut stands redacted where it began; the rest of it is gone from the events that follow.
    """
    body = clean(body)
    for name in _TEXTS:
        if b'"%b"' % name in body:
            piece = re.compile(rb'"%b": ?"([^"\\]*(?:\\.[^"\\]*)*)"' % name)
            text = b"".join(piece.findall(body))
            redacted = clean(text)
            if redacted != text:
                pieces = [found.span(1) for found in piece.finditer(body)]
                body = _rewritten(body, pieces, _secrets(text, redacted))
    return body


def _secrets(text: bytes, redacted: bytes) -> list[tuple[int, int, bytes]]:
    """Return where `redacted` differs from `text`: start, end, and what stands there now."""
    around = [re.escape(part) for part in _REDACTED.split(redacted)]
    found = re.fullmatch(b"(.+?)".join(around), text, re.DOTALL)
    marks = _REDACTED.findall(redacted)
    return [(*found.span(at), mark) for at, mark in enumerate(marks, 1)] if found else [(0, len(text), redacted)]


def _rewritten(body: bytes, pieces: list[tuple[int, int]], secrets: list[tuple[int, int, bytes]]) -> bytes:
    """Return the body with the secrets in the text of its pieces replaced."""
    parts = []
    end = at = 0  # of what is done: in the body, in the text
    for start, stop in pieces:
        parts.append(body[end:start])
        size = stop - start
        done = 0  # of this piece
        for first, last, mark in secrets:
            begin, finish = max(first - at, 0), min(last - at, size)
            if begin < finish:
                parts += [body[start + done : start + begin], mark if first >= at else b""]
                done = finish
        parts.append(body[start + done : stop])
        at += size
        end = stop
    return b"".join([*parts, body[end:]])
