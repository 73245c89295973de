"""Reads chat transcripts: from a file or from memory to validated runs, or to one sentence that says what is wrong."""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from peaky_peek.errors import LoadError

MESSAGE_KEYS = ("messages", "traj", "trace", "history", "conversation", "transcript")
_EXPECTED = f"a list of messages, or an object with such a list under {', '.join(MESSAGE_KEYS)}"

Path_ = tuple[str | int, ...]
Place = Callable[[Path_], str]
"""Says where in the source a part of an item is, as the beginning of an error message."""


class _Function(BaseModel):
    name: str
    arguments: Any = None


class _ToolCall(BaseModel):
    id: str | None = None
    function: _Function


class _Message(BaseModel):
    role: str
    content: str | list[Any] | dict[str, Any] | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class Facts(BaseModel):
    """What a run says about itself beside its messages."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    id: str | None = None
    name: str | None = None
    task: str | None = Field(default=None, validation_alias=AliasChoices("task", "task_id", "instance_id"))
    version: str | None = Field(default=None, validation_alias=AliasChoices("version", "config"))
    model: str | None = None
    tools: list[Any] | None = None
    tags: list[str] | None = None
    outcome: str | None = None
    score: float | None = Field(default=None, validation_alias=AliasChoices("score", "reward"))
    note: str | None = None
    error: str | None = None
    traceback: str | None = None


@dataclass
class Run:
    """One transcript: its messages and its facts as they were found, and the facts that we understand."""

    messages: list[dict[str, Any]]
    facts: Facts
    raw: dict[str, Any] = field(default_factory=dict)
    """The object the run stood in, without its messages."""


def read(source: Any) -> Iterator[Run]:
    """Yield the runs of a source: a path, the messages of one run, or several runs.

    Raises:
        LoadError: naming the file, the line, and what was expected there.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source).expanduser()
        items, place = _parsed(path)
    else:
        items, place = _plain(source), _in_memory
    if is_one_run(items):
        yield _run(items, (), place)
    elif not items:
        raise LoadError(f"{place(())}: expected {_EXPECTED}, found nothing.")
    else:
        for number, item in enumerate(items):
            yield _run(item, (number,), place)


def is_one_run(items: Any) -> bool:
    """Tell whether what was given is one run: an object, or a list of messages."""
    items = _plain(items) if not isinstance(items, list) else items[:1]
    return not isinstance(items, list) or (bool(items) and _is_message(_plain(items[0])))


def _parsed(path: Path) -> tuple[Any, Place]:
    """Return what a file holds, JSON or JSON lines, and what tells the line of each part of it."""
    name = path.name
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        text = data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise LoadError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LoadError(f"{name}, line {line}: expected JSON in UTF-8, found bytes that are no text.") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise LoadError(f"{name} is empty: expected {_EXPECTED}.")
    if len(lines) > 1 and _is_json(lines[0][1]):
        numbers = [number for number, _ in lines]
        items = [_loads(line, name, number) for number, line in lines]
        return items, lambda where: f"{name}, line {numbers[int(where[0])] if where else 1}"
    return _loads(text, name), lambda where: f"{name}, line {_line_of(text, where)}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _loads(text: str, name: str, line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = f"{name}, line {line + error.lineno - 1}"
        raise LoadError(f"{at}: expected JSON, but: {error.msg} (column {error.colno}).") from None
    except RecursionError:
        raise LoadError(f"{name}, line {line}: nested too deeply.") from None


def _line_of(text: str, where: Path_) -> int:
    """Return the line on which a part of a JSON text begins."""
    decoder = json.JSONDecoder()
    between = re.compile(r"[\s,:]*")

    def skip(position: int) -> int:
        found = between.match(text, position)
        return found.end() if found else position

    position = skip(0)
    for step in where:
        is_object = text[position] == "{"
        position, index = skip(position + 1), 0
        while True:
            key: Any = index
            if is_object:
                key, position = decoder.raw_decode(text, position)
                position = skip(position)
            if key == step:
                break
            _, position = decoder.raw_decode(text, position)
            position, index = skip(position), index + 1
    return text.count("\n", 0, position) + 1


def _in_memory(where: Path_) -> str:
    return "What was given to load" + (f", item {int(where[0]) + 1}" if where and isinstance(where[0], int) else "")


def _plain(source: Any) -> Any:
    """Return what was given as dicts and lists; client libraries answer with objects."""
    if isinstance(source, BaseModel):
        return source.model_dump(exclude_unset=True)
    if isinstance(source, Iterable) and not isinstance(source, (str, bytes, dict)):
        return [_plain(item) for item in source]
    return source


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and "role" in item and _find(item) is None


def _find(item: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the keys that lead to the messages, which may be in an object in the object."""
    for key in MESSAGE_KEYS:
        if isinstance(item.get(key), list):
            return (key,)
    for key, inner in item.items():
        if isinstance(inner, dict):
            for inner_key in MESSAGE_KEYS:
                if isinstance(inner.get(inner_key), list):
                    return key, inner_key
    return None


_MESSAGES = TypeAdapter(list[_Message])


def _run(item: Any, where: Path_, place: Place) -> Run:
    """Return a run whose every message is sound."""
    if isinstance(item, list):
        _validate(_MESSAGES.validate_python, item, where, place)
        return Run(item, Facts())
    keys = _find(item) if isinstance(item, dict) else None
    if keys is None:
        raise LoadError(f"{place(where)}: expected {_EXPECTED}, found {_described(item)}.")
    inner = item if len(keys) == 1 else item[keys[0]]
    messages: list[dict[str, Any]] = inner[keys[-1]]
    _validate(_MESSAGES.validate_python, messages, (*where, *keys), place)
    raw = {key: value for key, value in item.items() if key != keys[0]}
    if inner is not item:
        raw[keys[0]] = {key: value for key, value in inner.items() if key != keys[-1]}
    known = {key: value for key, value in (inner | raw).items() if key not in keys}
    facts = _validate(Facts.model_validate, _as_facts(known), where, place)
    return Run(messages, facts, raw)


def _as_facts(known: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only has the name of a fact: a whole object under `task`, say. It stays in `Run.raw`."""
    facts = {
        key: value for key, value in known.items() if key in ("tools", "tags") or not isinstance(value, (dict, list))
    }
    if isinstance(facts.get("outcome"), bool):
        facts["outcome"] = "pass" if facts["outcome"] else "fail"
    return facts


def _validate(check: Callable[[Any], Any], value: Any, where: Path_, place: Place) -> Any:
    try:
        return check(value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    location, here, what = problem["loc"], where, ""
    if location and isinstance(location[0], int):
        here, what, location = (*where, location[0]), f"message {location[0] + 1}", location[1:]
    if location[:1] == ("content",):  # then comes the type that was tried
        location = location[:1]
    part = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
    if problem["type"] == "missing":
        said = [what, f"expected `{part}`, which is missing"]
    else:
        expected = "an object" if problem["type"] == "model_type" else problem["msg"].removeprefix("Input should be ")
        said = [what, f"`{part}`" if part else "", f"expected {expected}, found {_described(problem['input'])}"]
    raise LoadError(f"{place(here)}: {': '.join(filter(None, said))}.")


def _described(value: Any) -> str:
    """A short name for a value that is not what it should be."""
    if isinstance(value, dict):
        return f"an object with {', '.join(map(repr, list(value)[:6]))}" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return json.dumps(value, default=repr)[:60]
