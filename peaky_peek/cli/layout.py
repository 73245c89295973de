"""Columns of text in a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence


def width(text: str) -> int:
    """Return how many places of a line a text takes: two for each wide character, none for those that combine.

    >>> width("abc"), width("日本")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def left(text: str, places: int) -> str:
    """Return a text with spaces after it."""
    return text + " " * (places - width(text))


def right(text: str, places: int) -> str:
    """Return a text with spaces before it."""
    return " " * (places - width(text)) + text


def fit(text: str, places: int) -> str:
    """Return a text that takes at most so many places, cut if need be.

    >>> fit("日本語 text", 5)
    '日本…'
    """
    if width(text) <= places:
        return text
    kept = text[: max(places - 1, 0)]
    while kept and width(kept) > places - 1:
        kept = kept[:-1]
    return f"{kept}…" if places > 0 else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: set[str]) -> list[str]:
    """Return the lines of a table; the columns that are `numbers` are aligned at the right."""
    lines = [headings, *rows]
    columns = [max(width(line[at]) for line in lines) for at in range(len(headings))]
    aligned = [right if heading in numbers else left for heading in headings]
    cells = (
        [align(text, places) for align, text, places in zip(aligned, line, columns, strict=True)] for line in lines
    )
    return ["  ".join(line).rstrip() for line in cells]
