"""The Python half of the wire contract; `js/src/wire.ts` is the other, and the same golden files hold both to it.

A tree travels as packed columns, one little-endian buffer each, in the order of `COLUMNS`; everything longer is sent
on request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek.events import EventType
from peaky_peek.vocabulary import FAMILIES, FAMILY_COLORS
from peaky_peek.widgets._text import one_line

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Message = tuple[dict[str, Any], list[bytes]]
"""The content of a message, and its buffers."""

VERSION = 1
COLUMNS = ("parent", "kind", "flags", "importance", "duration", "cost", "name_code", "name_offsets", "name_utf8")
KINDS = [kind.value for kind in EventType]
FLAGS = {"failed": 1, "suspect": 2, "derived": 4, "running": 8, "cancelled": 16}
ICONS = {"session": "○", "llm": "●", "tool": "■", "decision": "◆", "checkpoint": "⚑", "risk": "▲"}
NAME_LIMIT = 80


def vocabulary() -> dict[str, Any]:
    """Return the words and colours both halves share."""
    return {
        "version": VERSION,
        "types": KINDS,
        "families": {kind: FAMILIES[kind] for kind in KINDS},
        "colors": FAMILY_COLORS,
        "icons": ICONS,
        "flags": FLAGS,
    }


def columns(steps: pd.DataFrame) -> Message:
    """Return the `columns` message for a frame of steps, and its buffers: 19 bytes a step, and each distinct name."""
    codes, names = pd.factorize(_names(steps), use_na_sentinel=False)
    encoded = [one_line(str(name), NAME_LIMIT).encode() for name in names]
    offsets = np.zeros(len(encoded) + 1, "<u4")
    np.cumsum([len(name) for name in encoded], out=offsets[1:])
    arrays = [
        steps["parent"].to_numpy("<i4"),
        pd.Categorical(steps["event_type"], categories=KINDS).codes.astype("u1"),
        _flags(steps),
        np.rint(_floats(steps["importance"]).clip(0, 1) * 255).astype("u1"),
        _floats(steps["duration_ms"], np.nan),
        _floats(steps["cost_usd"], np.nan),
        codes.astype("<u2" if len(encoded) <= 0x10000 else "<u4"),
        offsets,
    ]
    message = {"type": "columns", "version": VERSION, "rows": len(steps), "names": len(encoded)}
    return message, [array.tobytes() for array in arrays] + [b"".join(encoded)]


def mask(matches: NDArray[np.bool_], query: str) -> Message:
    """Return the `mask` message that says which rows the filter lets through, and its buffer."""
    message = {"type": "mask", "query": query, "count": int(matches.sum()), "active": True}
    return message, [matches.astype("u1").tobytes()]


def no_mask(rows: int) -> Message:
    """Return the `mask` message that lifts the filter."""
    return {"type": "mask", "query": "", "count": rows, "active": False}, []


def packed(
    kind: str,
    facts: Mapping[str, Any] | None = None,
    columns: Mapping[str, ArrayLike] | None = None,
    texts: Mapping[str, Iterable[str]] | None = None,
    request: Any = None,
) -> Message:
    """Return a `packed` message, for whatever a view needs beyond the steps, and its buffers.

    Args:
        kind: what it is; the view knows it by this name.
        facts: small things, as JSON.
        columns: arrays of numbers, sent as bytes; int64 and bool become int32 and uint8, which a browser reads faster.
        texts: columns of texts, sent as one block of UTF-8 each, with offsets.
        request: the request that this answers, None when nobody asked.
    """
    arrays = {name: _portable(np.asarray(column)) for name, column in (columns or {}).items()}
    encoded = {name: [text.encode("utf-8", "replace") for text in column] for name, column in (texts or {}).items()}
    message = {
        "type": "packed",
        "version": VERSION,
        "kind": kind,
        "facts": dict(facts or {}),
        "columns": [[name, array.dtype.str.lstrip("<|")] for name, array in arrays.items()],
        "texts": list(encoded),
        "request": request,
    }
    buffers = [array.tobytes() for array in arrays.values()]
    for column in encoded.values():
        buffers += [np.cumsum([0, *map(len, column)], dtype="<u4").tobytes(), b"".join(column)]
    return message, buffers


def error(message: str, request: Any) -> Message:
    """Return the `error` message that answers a request."""
    return {"type": "error", "message": message, "request": request}, []


def _portable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in a type that JavaScript has, little-endian."""
    small = {"i8": "<i4", "u8": "<u4", "b1": "u1"}.get(array.dtype.str[1:])
    return array.astype(small or array.dtype.newbyteorder("<"))


def _names(steps: pd.DataFrame) -> pd.Series:
    """Return what each step is called: its name, else its type."""
    return steps["name"].astype(object).fillna(steps["event_type"].astype(object))


def _floats(values: pd.Series, missing: float = 0.0) -> NDArray[np.float32]:
    return values.to_numpy("<f4", na_value=missing)


def _flags(steps: pd.DataFrame) -> NDArray[np.uint8]:
    """Return the marks of each step as bits."""
    marks = {
        "failed": steps["failed"],
        "suspect": steps["suspect"].notna(),
        "derived": steps["derived"],
        "running": steps["running"],
        "cancelled": steps["status"] == "cancelled",
    }
    flags = np.zeros(len(steps), "u1")
    for mark, bit in FLAGS.items():
        flags |= marks[mark].to_numpy(bool, na_value=False).astype("u1") * np.uint8(bit)
    return flags
