"""Makes plain data of what an adapter looks into before it is recorded: frameworks pass around objects of their own.

What is only recorded needs none of this: `encoding` turns models and data classes into their fields itself.
"""

from __future__ import annotations

import dataclasses
from typing import Any

_DEPTH = 12


def plain(value: Any, depth: int = _DEPTH) -> Any:
    """Return a value with the models and data classes in it as dictionaries; what is neither stays as it is.

    >>> @dataclasses.dataclass
    ... class Note:
    ...     text: str
    >>> plain([Note("remember")])
    [{'text': 'remember'}]
    """
    if value is None or type(value) in (str, int, float, bool, bytes) or depth == 0:
        return value
    if isinstance(value, dict):
        return {key: plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth - 1) for item in value]
    try:
        if callable(dump := getattr(type(value), "model_dump", None)):
            return dump(value, warnings=False)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return {field.name: plain(getattr(value, field.name), depth - 1) for field in fields}
    except Exception:  # noqa: BLE001 - a hostile object: it is recorded as any other
        return value
    return value
