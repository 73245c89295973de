"""Two texts as one, told apart by words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from rapidfuzz.distance import Indel

_TOKEN = re.compile(r"\d+(?:[.,]\d+)+|\w+|\s+|[^\w\s]")
_MOST = 4_000
"""Words that are compared one by one; in longer texts lines are."""

Word = tuple[Literal["=", "-", "+"], str]


def words(before: str, after: str) -> list[Word]:
    """Return two texts as one, told apart by words: what both have, what only the first has, what only the second.

    >>> words("refund 84.50 EUR", "refund 48.50 EUR now")
    [('=', 'refund '), ('-', '84.50'), ('+', '48.50'), ('=', ' EUR'), ('+', ' now')]
    """
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    if len(old) > _MOST or len(new) > _MOST:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if len(old) > _MOST or len(new) > _MOST:
        old, new = [before], [after]
    found: list[Word] = []
    for block in Indel.opcodes(old, new):
        gone, come = old[block.src_start : block.src_end], new[block.dest_start : block.dest_end]
        if block.tag == "equal":
            found.append(("=", "".join(gone)))
            continue
        found += [(sign, "".join(part)) for sign, part in (("-", gone), ("+", come)) if part]  # type: ignore[misc]
    return _merged(found)


def _merged(found: Sequence[Word]) -> list[Word]:
    """Return what was told word by word in longer pieces: a blank between two changes belongs to them."""
    pieces: list[Word] = []
    gone = come = ""
    for at, (sign, text) in enumerate(found):
        is_last = at + 1 == len(found)
        if sign == "=" and (not text.isspace() or not (gone or come) or is_last):
            pieces += [(side, part) for side, part in (("-", gone), ("+", come)) if part]  # type: ignore[misc]
            pieces.append((sign, text))
            gone = come = ""
            continue
        gone += text if sign in "-=" else ""
        come += text if sign in "+=" else ""
    return pieces + [(side, part) for side, part in (("-", gone), ("+", come)) if part]  # type: ignore[misc]
