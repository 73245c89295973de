"""The tagged JSON encoding: any Python value to JSON bytes and back.

JSON values stay as they are. What JSON cannot say is an object `{"__peek__": kind, "value": ...}`:

| kind | stands for | decodes to |
|---|---|---|
| float | nan, inf, -inf | float |
| int | an integer beyond 64 bits, in hexadecimal | int |
| str | text with lone surrogates, escaped | str |
| bytes | bytes, base64 | bytes |
| datetime, date, time, timedelta | ISO 8601, or [days, seconds, microseconds] | the same |
| dict | pairs of a dict whose keys are not all text, or that looks like a tag | dict |
| nested | JSON text of a part nested deeper than JSON readers allow | that part |
| repr | any other object, with its type | `Repr` |
| cut | the beginning of a value over the payload limit, with its size in bytes | `Cut` |

Tuples and sets become lists; a dataclass or a pydantic model becomes a dict of its fields.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
from ahocorasick_rs import BytesAhoCorasick, MatchKind

from peaky_peek.interrupts import is_interrupt
from peaky_peek.shutdown import exchange_at_end

TAG = "__peek__"
_TAG_BYTES = b'"__peek__"'
_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
# One search for four literals runs on vector instructions: six times as fast as two of Python's own.
_ODD = [b":null", b",null", b"[null", _TAG_BYTES]
_odd: Callable[[bytes], object] = BytesAhoCorasick(_ODD, MatchKind.LeftmostFirst).find_matches_as_indexes
_MAX_NESTING = 100  # orjson writes 254 levels; tags add some of their own


def _search_with_the_lock() -> None:
    global _odd
    _odd = re.compile(b"|".join(map(re.escape, _ODD))).search


exchange_at_end(_search_with_the_lock)


class Repr(str):  # noqa: SLOT000 - text with attributes
    """The `repr` of an object that could not be stored as data; `type` names its class."""

    type: str = ""


class Tagged(dict[str, Any]):
    """A tag made by this package: `encode` writes it as it is, where a user's dict that looks like one is escaped."""


class Cut(str):  # noqa: SLOT000
    """The beginning of a value that was over the payload limit; `bytes` is the size of the whole, encoded."""

    bytes: int = 0


def encode(value: Any) -> bytes:
    """Return `value` as one line of tagged JSON (UTF-8).

    Never raises for what a value is: an object that resists even `repr` is stored as the name of its type.

    >>> decode(encode({"limit": float("inf"), 1: (b"raw", {2})}))
    {'limit': inf, 1: [b'raw', [2]]}
    """
    try:
        encoded = orjson.dumps(value, _tag, _OPTIONS)
        # orjson writes NaN and infinities as null, and a dict of the user's may look like a tag: only then look closer.
        if (_odd(encoded) or encoded == b"null") and _needs_care(value):
            return orjson.dumps(_plain(value, ()), option=_OPTIONS)
    except Exception as error:  # what orjson cannot say, and what hostile objects do when they are looked at
        if is_interrupt(error):
            raise
        # orjson hides what happened in `_tag` behind an error of its own.
        hidden, error.__cause__ = error.__cause__, None
        if hidden is not None and is_interrupt(hidden):
            raise hidden from None
        return orjson.dumps(_plain(value, ()), option=_OPTIONS)
    return encoded


def decode(encoded: bytes | str) -> Any:
    """Return the value that `encode` was given.

    Raises:
        ValueError: if `encoded` is not JSON.
    """
    value = orjson.loads(encoded)
    has_tags = _TAG_BYTES in encoded if isinstance(encoded, bytes) else f'"{TAG}"' in encoded
    return _untag(value) if has_tags else value


def as_text(value: Any) -> str:
    """Return what was decoded as text that any file can hold, with escapes for what no file can."""
    is_long = isinstance(value, int) and value.bit_length() > _LONGEST_BITS
    return (hex(value) if is_long else str(value)).encode("utf-8", "backslashreplace").decode()


_LONGEST_BITS = 2_000  # Python refuses to write very long integers as decimals, from 640 digits on if it is told so


def cut(encoded: bytes, limit: int) -> bytes:
    """Return `encoded` itself, or if it is longer than `limit` bytes, a tag with its beginning and its size."""
    if len(encoded) <= limit:
        return encoded
    beginning = encoded[:limit].decode("utf-8", "ignore")
    return orjson.dumps({TAG: "cut", "value": beginning, "bytes": len(encoded)})


def _needs_care(value: Any) -> bool:
    """Tell whether a value that orjson took holds a non-finite float, a dict like a tag, or an unknown object."""
    stack = [value]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str or item is None or kind is int or kind is bool:
            continue
        if kind is float:
            if item - item != 0:
                return True
        elif isinstance(item, dict):
            if TAG in item and kind is not Tagged:
                return True
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
        elif isinstance(item, _HOLDERS) or not _is_told_by_repr(kind):
            return True
    return False


_HOLDERS = (set, frozenset, float, int, str)


def _is_told_by_repr(kind: type) -> bool:
    """Tell whether the values of a class hold nothing that would need care; to look closer asks for a second `repr`."""
    if kind in _LEAVES:
        return True
    has_fields = hasattr(kind, "__dataclass_fields__") or hasattr(kind, _IS_MODEL)
    return not has_fields and kind.__module__ != "numpy" and not issubclass(kind, (Enum, UUID))


_IS_MODEL = "__pydantic_validator__"  # what all models have, of every version 2
_LEAVES = (bytes, bytearray, memoryview, dt.datetime, dt.date, dt.time, dt.timedelta)


def _tag(value: Any) -> Any:
    """Turn what orjson does not know into JSON; called by orjson, and by `_plain` for the same kinds."""
    if isinstance(value, str):  # with lone surrogates: orjson hands them over
        return {TAG: "str", "value": str.encode(value, "unicode_escape").decode()}
    if isinstance(value, float):
        return float(value) if value - value == 0 else {TAG: "float", "value": float.__repr__(value)}
    if isinstance(value, int):
        return {TAG: "int", "value": hex(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {TAG: "bytes", "value": base64.b64encode(value).decode()}
    if isinstance(value, dt.datetime):
        return {TAG: "datetime", "value": value.isoformat(), "fold": 1} if value.fold else _iso("datetime", value)
    if isinstance(value, dt.date):
        return _iso("date", value)
    if isinstance(value, dt.time):
        return _iso("time", value)
    if isinstance(value, dt.timedelta):
        return {TAG: "timedelta", "value": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return _fields(value)


def _iso(kind: str, value: dt.date | dt.time) -> dict[str, str]:
    return {TAG: kind, "value": value.isoformat()}


def _fields(value: Any) -> Any:
    """Return the fields of a dataclass or a pydantic model as a dict, and the `repr` of anything else."""
    kind = type(value)
    try:
        if hasattr(kind, "__dataclass_fields__"):
            return {field.name: getattr(value, field.name) for field in fields(kind)}
        if hasattr(kind, _IS_MODEL):
            return kind.model_dump(value, warnings=False)
        if kind.__module__ == "numpy" and not getattr(value, "shape", True):
            return value.item()
        text = repr(value)
        text.encode()
    except BaseException as error:  # a hostile object must not stop the recording
        if is_interrupt(error):
            raise
        return _resisting(value, error)
    return {TAG: "repr", "value": text, "type": _full_name(kind)}


def _resisting(value: Any, error: BaseException) -> dict[str, str]:
    text = f"<{_QUALNAME(type(value))}: {_NAME(type(error))} while it was recorded>"
    return {TAG: "repr", "value": text, "type": _full_name(type(value))}


# Past what a metaclass may make of them.
_MODULE, _QUALNAME, _NAME = (type.__dict__[name].__get__ for name in ("__module__", "__qualname__", "__name__"))


def _full_name(kind: type) -> str:
    return f"{_MODULE(kind)}.{_QUALNAME(kind)}"


def _plain(value: Any, parents: tuple[int, ...], nested: bool = False) -> Any:
    """Return `value` as what orjson writes exactly: the slow path for values that need tags orjson does not ask for."""
    try:
        return _exactly(value, parents, nested)
    except RecursionError:
        raise
    except BaseException as error:  # only this part of the whole is lost
        if is_interrupt(error):
            raise
        return _resisting(value, error)


def _exactly(value: Any, parents: tuple[int, ...], nested: bool) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = str.__str__(value)
        return text if _is_unicode(text) else _tag(text)
    if isinstance(value, int):
        whole = int(value)
        return whole if -(1 << 63) <= whole < 1 << 64 else _tag(whole)
    if isinstance(value, float):
        return _tag(value)
    if id(value) in parents:
        return {TAG: "repr", "value": "<cycle>", "type": _QUALNAME(type(value))}
    if len(parents) >= _MAX_NESTING and not nested and isinstance(value, (dict, list, tuple, set, frozenset)):
        return _nested(value, parents)
    inside = (*parents, id(value))
    if isinstance(value, dict):
        return _plain_dict(value, inside, nested)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, inside, nested) for item in list(value)]
    try:
        return orjson.loads(orjson.dumps(value, option=_OPTIONS))  # a UUID, an enum
    except (TypeError, ValueError):
        tagged = _tag(value)
        return tagged if isinstance(tagged, dict) and TAG in tagged else _plain(tagged, inside, nested)


def _plain_dict(value: dict[Any, Any], inside: tuple[int, ...], nested: bool) -> dict[str, Any]:
    items = list(value.items())
    if (TAG not in value or type(value) is Tagged) and all(type(key) is str and _is_unicode(key) for key, _ in items):
        return {key: _plain(item, inside, nested) for key, item in items}
    return {TAG: "dict", "value": [[_plain(k, inside, nested), _plain(v, inside, nested)] for k, v in items]}


def _nested(value: Any, parents: tuple[int, ...]) -> dict[str, str]:
    try:
        return {TAG: "nested", "value": json.dumps(_plain(value, parents, nested=True))}
    except RecursionError:
        return {TAG: "repr", "value": "<nested too deeply>", "type": type(value).__qualname__}


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _untag(value: Any) -> Any:
    if isinstance(value, list):
        return [_untag(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(TAG)
    if kind is None:
        return {key: _untag(item) for key, item in value.items()}
    read = _READERS.get(kind) if isinstance(kind, str) else None
    return read(value) if read else {key: _untag(item) for key, item in value.items()}


def _marked(value: dict[str, Any], kind: type[Repr | Cut], attribute: str) -> str:
    text = kind(value["value"])
    setattr(text, attribute, value.get("type" if kind is Repr else "bytes"))
    return text


def _hashable(key: Any) -> Any:
    return tuple(_hashable(item) for item in key) if isinstance(key, list) else key


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "float": lambda v: float(v["value"]),
    "int": lambda v: int(v["value"], 16),
    "str": lambda v: v["value"].encode().decode("unicode_escape"),
    "bytes": lambda v: base64.b64decode(v["value"]),
    "datetime": lambda v: dt.datetime.fromisoformat(v["value"]).replace(fold=v.get("fold", 0)),
    "date": lambda v: dt.date.fromisoformat(v["value"]),
    "time": lambda v: dt.time.fromisoformat(v["value"]),
    "timedelta": lambda v: dt.timedelta(*v["value"]),
    "dict": lambda v: {_hashable(_untag(key)): _untag(item) for key, item in v["value"]},
    "nested": lambda v: _untag(json.loads(v["value"])),
    "repr": lambda v: _marked(v, Repr, "type"),
    "cut": lambda v: _marked(v, Cut, "bytes"),
}
