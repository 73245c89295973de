"""Recorded values made ready to be shown: limited in size, exact in what is shown, with a path to what is not.

A path is a list: which event of the step (0 opens, 1 closes), the field, then keys or positions; it may lead into JSON
text.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

from peaky_peek.attachments import described, words
from peaky_peek.encoding import TAG, Cut, Repr, encode
from peaky_peek.errors import PeekError
from peaky_peek.widgets._text import LONG, visible

Path = list[int | str]

_DEPTH = 12
_ITEMS = 100
_NODES = 2_000
_CHARACTERS = 200_000
_KEY = 200
_SAFE_INT = 2**53


def cut_text(text: str, path: Path) -> dict[str, Any]:
    """Return the beginning of `text`, and when that is not all of it, its length and where the rest is."""
    if len(text) <= LONG:
        return {"text": visible(text)}
    return {"text": visible(text[:LONG]), "length": len(text), "path": path}


def presentable(value: Any, path: Path) -> Any:
    """Return `value` as JSON of limited size that a browser reads exactly.

    What JSON cannot say and what is left out are tags, `{"__peek__": kind, "value": ...}`, as in the store's encoding,
    and two more: `long` (the beginning of a text, its length and path) and `rest` (how many items are not shown).
    """
    return _Presenter().present(value, path)


def parsed(value: Any) -> Any:
    """Return the object or list that a JSON text says, and anything else as it is."""
    if not isinstance(value, str) or value[:20].lstrip()[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def whole_text(value: Any) -> str:
    """Return all of `value` as text: a text as it is, anything else as indented JSON."""
    if isinstance(value, str):
        return visible(value)
    try:
        return visible(json.dumps(value, indent=2, ensure_ascii=False, default=str))
    except (TypeError, ValueError, RecursionError):  # odd keys, huge integers, deep nesting: the encoding says them all
        return encode(value).decode()


def follow(value: Any, path: Sequence[int | str]) -> Any:
    """Return the part of `value` that lies at `path`.

    Raises:
        PeekError: if nothing lies there.
    """
    try:
        for step in path:
            inside = json.loads(value) if isinstance(value, str) else value
            value = list(inside.values())[step] if isinstance(inside, dict) and isinstance(step, int) else inside[step]
    except (IndexError, KeyError, TypeError, ValueError):
        raise PeekError("There is nothing more to show here: the step has changed, refresh the tree.") from None
    return value


class _Presenter:
    """One walk over a value, with what is left of its limits."""

    def __init__(self) -> None:
        self.nodes = _NODES
        self.characters = _CHARACTERS
        self.attachment: str | None = None
        """What is said of the image, audio or file that the walk is inside of, instead of its content."""

    def present(self, value: Any, path: Path, depth: int = 0) -> Any:
        self.nodes -= 1
        if self.attachment is None and (attachment := described(value)):
            self.attachment = f"[{words(attachment)}]"
            try:
                return self.present(value, path, depth)
            finally:
                self.attachment = None
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, (dict, list, tuple)):
            if value and (depth >= _DEPTH or self.nodes <= 0):
                return _rest(len(value), path)
            return self._dict(value, path, depth) if isinstance(value, dict) else self._list(list(value), path, depth)
        return _scalar(value, path)

    def _text(self, text: str, path: Path) -> Any:
        if self.attachment is not None and len(text) > _KEY:
            return {TAG: "long", "value": self.attachment, "length": len(text), "path": path}
        limit = LONG if self.characters > 0 else _KEY
        shown = visible(text[:limit])
        self.characters -= len(shown)
        if isinstance(text, Repr):
            return {TAG: "repr", "value": shown, "type": visible(text.type)}
        if isinstance(text, Cut):
            return {TAG: "cut", "value": shown, "bytes": text.bytes}
        return shown if len(text) <= limit else {TAG: "long", "value": shown, "length": len(text), "path": path}

    def _list(self, items: list[Any], path: Path, depth: int) -> list[Any]:
        shown = self._items(items, path, depth)
        return [*shown, _rest(len(items) - len(shown), path)] if len(shown) < len(items) else shown

    def _dict(self, value: dict[Any, Any], path: Path, depth: int) -> dict[str, Any]:
        shown = self._items(value.values(), path, depth)
        keys = list(value)[: len(shown)]
        if all(isinstance(key, str) and len(key) <= _KEY and key != TAG and visible(key) == key for key in keys):
            named = dict(zip(keys, shown, strict=True))
            return {**named, "…": _rest(len(value) - len(keys), path)} if len(keys) < len(value) else named
        pairs = [[self.present(key, path, _DEPTH), item] for key, item in zip(keys, shown, strict=True)]
        if len(keys) < len(value):
            pairs.append(["…", _rest(len(value) - len(keys), path)])
        return {TAG: "dict", "value": pairs}

    def _items(self, items: Iterable[Any], path: Path, depth: int) -> list[Any]:
        shown = []
        for position, item in enumerate(items):
            if position >= _ITEMS or self.nodes <= 0:
                break
            shown.append(self.present(item, [*path, position], depth + 1))
        return shown


def _rest(count: int, path: Path) -> dict[str, Any]:
    return {TAG: "rest", "count": count, "path": path}


def _scalar(value: Any, path: Path) -> Any:
    """Return what is neither text nor container, as JSON that JavaScript reads without loss."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) <= _SAFE_INT:
            return value
        digits = str(value) if value.bit_length() < 8192 else hex(value)
        if len(digits) > LONG:
            return {TAG: "long", "value": digits[:LONG], "length": len(digits), "path": path}
        return {TAG: "int", "value": digits}
    if isinstance(value, float):
        return value if value - value == 0 else {TAG: "float", "value": str(value)}
    if isinstance(value, (bytes, bytearray)):
        return {TAG: "bytes", "value": repr(bytes(value[:_KEY])), "length": len(value)}
    if isinstance(value, (dt.date, dt.time)):
        return {TAG: type(value).__name__, "value": value.isoformat()}
    if isinstance(value, dt.timedelta):
        return {TAG: "timedelta", "value": str(value)}
    return {TAG: "repr", "value": visible(repr(value)[:LONG]), "type": type(value).__qualname__}
