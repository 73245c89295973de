"""Server-sent events, the format of every provider's streams."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\r|\n)")


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
