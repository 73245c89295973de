"""Server-sent events, the format of every provider's streams."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from peaky_peek.capture.redaction.pieces import replaced

_LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\r|\n)")
_TEXTS = (
    b"content", b"arguments", b"input", b"refusal", b"reasoning", b"reasoning_content", b"text", b"thinking",
    b"partial_json", b"delta",
)  # fmt: skip
"""The fields that providers cut texts into pieces under."""
_PIECE = re.compile(rb'"(%b)": ?"([^"\\]*(?:\\.[^"\\]*)*)"' % b"|".join(_TEXTS))
_IS_ONE_OF_MANY = re.compile(rb'index": ?[1-9]')


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

    What is cut is put together first: a piece that looks like a secret by itself is often just the beginning of one.
    """
    lanes = defaultdict(list)
    for lane, span in _pieces(body):
        lanes[lane].append(span)
    rewritten: list[tuple[int, int, bytes]] = []
    for spans in lanes.values():
        texts = [body[start:end] for start, end in spans]
        whole = b'"%b"' % b"".join(texts)
        redacted = clean(whole)
        if redacted != whole:
            rewritten += [(*span, text) for span, text in zip(spans, replaced(texts, redacted[1:-1]), strict=True)]
    parts = []
    done = 0
    for start, end, text in sorted(rewritten):
        parts += [body[done:start], text]
        done = end
    return clean(b"".join([*parts, body[done:]]))


def _pieces(body: bytes) -> Iterator[tuple[Any, tuple[int, int]]]:
    """Yield each piece of text: what tells whose it is, and where it stands."""
    if not _IS_ONE_OF_MANY.search(body):
        for piece in _PIECE.finditer(body):
            yield piece[1], piece.span(2)
        return
    done = 0
    for end, data in events(body):
        pieces = list(_PIECE.finditer(body, done, end))
        done = end
        try:
            lanes = list(_lanes(orjson.loads(data), ()))
        except orjson.JSONDecodeError:
            lanes = []
        if len(lanes) != len(pieces):
            lanes = [(piece[1],) for piece in pieces]
        yield from zip(lanes, (piece.span(2) for piece in pieces), strict=True)


def _lanes(value: Any, lane: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield for each piece of text in an event, in order, the way to it, with the indexes of what it is part of."""
    if isinstance(value, list):
        for item in value:
            yield from _lanes(item, lane)
    elif isinstance(value, dict):
        lane += tuple(number for name, number in value.items() if name.endswith("index") and isinstance(number, int))
        for name, item in value.items():
            if isinstance(item, str) and name.encode() in _TEXTS:
                yield (*lane, name)
            else:
                yield from _lanes(item, (*lane, name))
