"""How a tool's arguments break the schema that its model was told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peaky_peek.widgets._text import one_line
from peaky_peek.widgets._values import parsed

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
    "null": (type(None),),
}
_DEPTH = 8
_MOST = 20


def breaches(arguments: Any, schema: dict[str, Any]) -> list[str]:
    """Return a sentence for each place where arguments break a JSON schema.

    Checked is what models get wrong: required, unknown and misspelt fields, types, and `enum`. References and
    combinations of schemas are passed over, so silence is no proof.

    >>> schema = {"properties": {"day": {"type": "string"}, "n": {"type": "integer"}}, "required": ["day"]}
    >>> breaches({"n": "two"}, schema)
    ["'day' is missing", "'n' is 'two', not an integer"]
    """
    found = []
    for sentence in _breaches(parsed(arguments), {"type": "object", **schema}, "", 0):
        found.append(sentence)
        if len(found) == _MOST:
            break
    return found


def _breaches(value: Any, schema: Any, place: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, dict) or depth > _DEPTH:
        return
    said = f"{place!r}" if place else "it"
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    if kinds and not any(_is(value, kind) for kind in kinds):
        kind = " or ".join(f"{'an' if str(one)[:1] in 'aio' else 'a'} {one}" for one in kinds)
        yield f"{said} is {one_line(repr(value), 60)}, not {kind}"
        return
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        yield f"{said} is {one_line(repr(value), 60)}, not one of {one_line(', '.join(map(repr, choices)), 120)}"
    if isinstance(value, dict):
        yield from _of_object(value, schema, place, depth)
    elif isinstance(value, list):
        for at, item in enumerate(value[:_MOST]):
            yield from _breaches(item, schema.get("items"), f"{place}[{at}]", depth + 1)


def _of_object(value: dict[Any, Any], schema: dict[str, Any], place: str, depth: int) -> Iterator[str]:
    required, properties = schema.get("required"), schema.get("properties")
    inside = f"{place}." if place else ""
    for key in required if isinstance(required, list) else []:
        if key not in value:
            yield f"{inside + str(key)!r} is missing"
    if not isinstance(properties, dict):
        return
    for key, item in value.items():
        if key in properties:
            yield from _breaches(item, properties[key], f"{inside}{key}", depth + 1)
        elif schema.get("additionalProperties") is False or not schema.get("additionalProperties", True):
            yield f"{one_line(inside + str(key), 60)!r} is no argument of it"


def _is(value: Any, kind: Any) -> bool:
    types = _TYPES.get(kind, (object,)) if isinstance(kind, str) else (object,)
    if isinstance(value, bool):
        return bool in types or object in types
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, types)
