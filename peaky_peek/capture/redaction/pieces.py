"""Text that comes in pieces: a secret may be cut into several, none of which looks like one."""

from __future__ import annotations

import re
from typing import Any

from peaky_peek.capture import faults
from peaky_peek.capture.recorder import recorder
from peaky_peek.capture.redaction.credentials import REDACTED


def cleaned(pieces: list[Any]) -> list[Any]:
    """Return what a generator yielded: pieces of text without the secrets that are cut into several, others as is."""
    try:
        if len(pieces) < 2 or not all(type(piece) is str for piece in pieces):
            return pieces
        texts = [piece.encode("utf-8", "surrogatepass") for piece in pieces]
        whole = b"".join(texts)
        redacted = recorder().redactor.clean_text("".join(pieces)).encode("utf-8", "surrogatepass")
        spread = texts if redacted == whole else replaced(texts, redacted)
        return [text.decode("utf-8", "surrogatepass") for text in spread]
    except Exception as error:  # noqa: BLE001 - the agent never notices
        faults.report(error)
        return []


def replaced(pieces: list[bytes], redacted: bytes) -> list[bytes]:
    """Return the pieces so that joined they are `redacted`.

    A secret that is cut stands redacted where it began; the rest of it is gone from the pieces that follow.

    >>> replaced([b"my s", b"k-ab", b"cd!"], b"my [redacted:openai:01234567]!")
    [b'my [redacted:openai:01234567]', b'', b'!']
    """
    secrets = _secrets(b"".join(pieces), redacted)
    result = []
    at = 0  # of the joined text
    for piece in pieces:
        parts = []
        done = 0
        for first, last, mark in secrets:
            begin, finish = max(first - at, 0), min(last - at, len(piece))
            if begin < finish:
                parts += [piece[done:begin], mark if first >= at else b""]
                done = finish
        result.append(b"".join([*parts, piece[done:]]))
        at += len(piece)
    return result


def _secrets(text: bytes, redacted: bytes) -> list[tuple[int, int, bytes]]:
    """Return where `redacted` differs from `text`: start, end, and what stands there now."""
    around = [re.escape(part) for part in REDACTED.split(redacted)]
    found = re.fullmatch(b"(.+?)".join(around), text, re.DOTALL)
    marks = REDACTED.findall(redacted)
    return [(*found.span(at), mark) for at, mark in enumerate(marks, 1)] if found else [(0, len(text), redacted)]
