"""The query language of `pp.sessions(q)`, searches, widget filters and the command line, compiled to SQL.

| written | finds |
|---|---|
| `refund "wrong amount"` | both texts, in names, tools, models, errors or payloads |
| `tool:search agent: model: name: task:` | names that contain the text, or with `tool:=search` are exactly it |
| `type:tool status:error outcome:fail version:2 tag:ci` | types that contain the word; the others are exact |
| `after:2026-11-01 after:today before:yesterday after:2h` | from (or before) a day or a time, local, or so long ago |
| `cost:>0.01 duration:<=500ms` | comparisons, in dollars and in `us ms s m h d` (seconds when no unit is given) |
| `failed suspect` | what failed, what smells |
| `-tool:search` | the opposite |

Every condition must hold. One about events holds for a session when it holds for one of its events; one about sessions
(outcome, task, version, tag) holds for all events of such a session. Case does not matter.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from peaky_peek.encoding import encode
from peaky_peek.errors import QueryError
from peaky_peek.events import EventType
from peaky_peek.vocabulary import SESSION_STATUSES, STATUSES


class _Columns(NamedTuple):
    """Where a condition looks: an expression over `events e`, one over `sessions s`."""

    event: str | None
    session: str | None


_COLUMNS = {
    "type": _Columns("e.event_type", None),
    "tool": _Columns("e.tool_name", None),
    "agent": _Columns("e.agent", None),
    "model": _Columns("e.model", None),
    "name": _Columns("e.name", "s.name"),
    "task": _Columns(None, "s.task"),
    "status": _Columns("e.status", "s.status"),
    "outcome": _Columns(None, "s.outcome"),
    "version": _Columns(None, "s.version"),
    "tag": _Columns(None, "s.tags"),
    "after": _Columns("e.timestamp", "s.started_at"),
    "before": _Columns("e.timestamp", "s.started_at"),
    "cost": _Columns("e.cost_usd", "s.cost_usd"),
    "duration": _Columns(
        "e.duration_ms", "iif(s.ended_at >= s.started_at, (s.ended_at - s.started_at) / 1000.0, NULL)"
    ),
}
KEYS = tuple(_COLUMNS)
FLAGS = {
    "failed": _Columns("e.failed", "(s.errors OR s.status = 'failed')"),
    "suspect": _Columns("e.suspect IS NOT NULL", "s.suspects"),
}
_TEXTS = ("e.name e.agent e.tool_name e.model e.error_type e.suspect", "s.name s.task s.note")
_JSON = ("e.payload", "s.input s.output")

_CONTAINS = r"{} LIKE :{} ESCAPE '\'"
_EQUALS = "{} = :{} COLLATE NOCASE"
_IS_ONE_OF = "{} IN (SELECT value FROM json_each(:{}))"
_HOLDS = "EXISTS (SELECT 1 FROM json_each({}) WHERE value = :{} COLLATE NOCASE)"
_SOME_EVENT = "EXISTS (SELECT 1 FROM events e WHERE e.session_id = s.session_id AND {})"
_ITS_SESSION = "EXISTS (SELECT 1 FROM sessions s WHERE s.session_id = e.session_id AND {})"

_TOKEN = re.compile(r'(?!\s|$)(-?)(?:([A-Za-z_]+):)?(?:"([^"]*)"|(\S*))')
_AMOUNT = re.compile(r"(>=|<=|>|<|=)?\$?(\d+(?:\.\d*)?|\.\d+)(us|ms|s|m|h|d)?", re.IGNORECASE)
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3, "d": 86400e3}
_LONGEST = 1_000  # characters; SQLite refuses far longer patterns and conditions


@dataclass(frozen=True, slots=True)
class Term:
    """One condition of a query as it was written; a word or phrase has no key."""

    key: str
    value: str
    negated: bool
    quoted: bool
    written: str
    at: int

    @property
    def flag(self) -> str | None:
        """`failed` or `suspect` when the term is that word."""
        word = self.value.lower()
        return word if word in FLAGS and not self.key and not self.quoted else None

    def wrong(self, why: str) -> QueryError:
        """Return an error that points at this term."""
        return QueryError(f"Cannot read {self.written!r} at character {self.at + 1} of the query: {why}.")


class Where(NamedTuple):
    """A condition over `events e` or over `sessions s`, with its named parameters."""

    sql: str
    parameters: dict[str, Any]


def closest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice most like `word`, or None when nothing is like it."""
    from rapidfuzz import process, utils

    found = process.extractOne(word, list(choices), processor=utils.default_process, score_cutoff=60)
    return found[0] if found else None


def parse(text: str) -> list[Term]:
    """Return the terms of a query.

    Raises:
        QueryError: for an unknown key (naming the closest), a key without a value, a quote that is not closed, and a
            query of unreasonable length.

    >>> [(term.key, term.value, term.negated) for term in parse('refund -tool:"get weather" cost:>0.01')]
    [('', 'refund', False), ('tool', 'get weather', True), ('cost', '>0.01', False)]
    """
    text = text.encode("utf-8", "replace").decode()  # SQLite takes no lone surrogates
    if len(text) > _LONGEST:
        raise QueryError(f"The query has {len(text):,} characters, more than {_LONGEST:,}: search for a part of it.")
    terms = []
    for match in _TOKEN.finditer(text):
        minus, key, phrase, word = match.groups()
        value = word if phrase is None else phrase
        term = Term((key or "").lower(), value, bool(minus), phrase is not None, match[0], match.start())
        _check(term)
        terms.append(term)
    return terms


def over_sessions(text: str) -> Where:
    """Return the condition over `sessions s` that a query is; raises `QueryError`."""
    return _all(text, _session_condition)


def over_events(text: str) -> Where:
    """Return the condition over `events e` that a query is; raises `QueryError`."""
    return _all(text, event_condition)


def _check(term: Term) -> None:
    """Raise for what is no term."""
    if not term.quoted and term.value.startswith('"'):
        raise term.wrong("the quote is not closed")
    if term.key and term.key not in KEYS:
        like = closest(term.key, KEYS)
        hint = f"did you mean '{like}:'" if like else f"the keys are {', '.join(KEYS)}"
        raise term.wrong(f"there is no key '{term.key}:' ({hint}; text with a colon goes in quotes)")
    if term.key and not term.value:
        raise term.wrong(f"'{term.key}:' needs a value")


def _all(text: str, over: Callable[[Term, str], Where]) -> Where:
    """Join the conditions of all terms. What is unknown (NULL) does not match, so its opposite does."""
    parts: list[str] = []
    parameters: dict[str, Any] = {}
    for index, term in enumerate(parse(text)):
        condition = over(term, f"v{index}")
        parts.append(f"({condition.sql}) IS {'NOT ' if term.negated else ''}TRUE")
        parameters |= condition.parameters
    return Where(" AND ".join(parts) or "TRUE", parameters)


def event_condition(term: Term, name: str) -> Where:
    """Return the condition over `events e` that one term is, its minus aside; its parameters begin with `name`."""
    asked, parameters = _asked(term, name)
    return Where(asked.event or _ITS_SESSION.format(asked.session), parameters)


def _session_condition(term: Term, name: str) -> Where:
    asked, parameters = _asked(term, name)
    some_event = _SOME_EVENT.format(asked.event)
    if term.key or term.flag:
        return Where(asked.session or some_event, parameters)
    return Where(f"{asked.session} OR {some_event}", parameters)


def _asked(term: Term, name: str) -> tuple[_Columns, dict[str, Any]]:
    """Return the conditions that a term is, and their parameters."""
    if term.flag:
        return FLAGS[term.flag], {}
    if not term.key:
        in_json = encode(term.value)[1:-1].decode()  # as quotes, backslashes and line ends are written in a payload
        asked = _Columns(*(_any_contains(*columns, name) for columns in zip(_TEXTS, _JSON, strict=True)))
        return asked, {name: _pattern(term.value), f"{name}_json": _pattern(in_json)}
    test, value = _test(term)
    columns = _COLUMNS[term.key]
    if term.key == "status":  # its words tell whose status is meant
        columns = columns._replace(session=None) if value in STATUSES else columns._replace(event=None)
    return _Columns(*(column and test.format(column, name) for column in columns)), {name: value}


def _any_contains(texts: str, json: str, name: str) -> str:
    tests = [_CONTAINS.format(column, name) for column in texts.split()]
    tests += [_CONTAINS.format(column, f"{name}_json") for column in json.split()]
    return f"({' OR '.join(tests)})"


def _test(term: Term) -> tuple[str, Any]:
    """Return how a key compares its column, and with what."""
    match term.key:
        case "type":
            return _IS_ONE_OF, _types(term)
        case "status":
            return _EQUALS, _status(term)
        case "tag":
            return _HOLDS, term.value
        case "outcome" | "version":
            return _EQUALS, term.value
        case "after":
            return "{} >= :{}", _moment(term)
        case "before":
            return "{} < :{}", _moment(term)
        case "cost" | "duration":
            comparison, amount = _amount(term)
            return f"{{}} {comparison} :{{}}", amount
    if term.value.startswith("=") and not term.quoted:
        return _EQUALS, term.value[1:]
    return _CONTAINS, _pattern(term.value)


def _pattern(text: str) -> str:
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"


def _types(term: Term) -> str:
    word = term.value.lower()
    types = [kind.value for kind in EventType if word in kind]
    if not types:
        like = closest(word, EventType)
        raise term.wrong(f"there is no such type{f' (did you mean {like!s})' if like else ''}")
    return encode(types).decode()


def _status(term: Term) -> str:
    word = term.value.lower()
    if word not in STATUSES + SESSION_STATUSES:
        raise term.wrong(f"a status is one of {', '.join(STATUSES + SESSION_STATUSES)}")
    return word


def _amount(term: Term) -> tuple[str, float]:
    """Return a comparison and an amount: dollars, or milliseconds."""
    match = _AMOUNT.fullmatch(term.value)
    if not match or (match[3] and term.key == "cost"):
        example = "cost:>0.01" if term.key == "cost" else "duration:>2s or duration:<=500ms"
        raise term.wrong(f"write it like {example}")
    scale = _UNITS_MS[(match[3] or "s").lower()] if term.key == "duration" else 1.0
    return match[1] or "=", float(match[2]) * scale


def _moment(term: Term) -> int:
    """Return the UTC microsecond that a day, a time or an age means here and now."""
    now = dt.datetime.now(dt.UTC)
    word = term.value.lower()
    age = _AMOUNT.fullmatch(word)
    try:
        if word in ("today", "yesterday"):
            day = now.astimezone().date() - dt.timedelta(days=word == "yesterday")
            when = dt.datetime.fromisoformat(day.isoformat()).astimezone()
        elif age and age[3] and not age[1]:
            when = now - dt.timedelta(milliseconds=float(age[2]) * _UNITS_MS[age[3]])
        else:
            when = dt.datetime.fromisoformat(term.value).astimezone()
    except (ValueError, OverflowError):
        raise term.wrong("write a day or a time like 2026-11-01, 2026-11-01T12:30, today, yesterday or 2h") from None
    return int(when.timestamp() * 1_000_000)
