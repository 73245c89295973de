"""Redaction as the user wants it: personal data, patterns and functions of their own, besides secrets.

Secrets are found in encoded bytes. This looks at text as it was meant: each string of JSON by itself, unescaped, also
in JSON that is text in JSON. It costs several times as much.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterator
from types import ModuleType

import orjson

from peaky_peek.capture import faults
from peaky_peek.capture.redaction import Redactor
from peaky_peek.capture.redaction.credentials import REDACTED
from peaky_peek.store.exchange_records import Q_FIELDS, R_FIELDS
from peaky_peek.store.schema import EVENT_COLUMNS

_REDACTED = re.compile(REDACTED.pattern.decode())
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_EXACT = b"float|int|datetime|date|time|timedelta|dict"  # tags of the encoding whose values are no text
_TOKEN = re.compile(
    rb'"__peek__":"(?:(?:EXACT)"(?:,"value":STRING)?|(bytes|str|history)",("value":|"event":)(STRING))'
    rb"|(STRING)(\s*:)?|(?<=[:,\[ ])(\d{12,19})(?![\d.eE])".replace(b"STRING", _STRING).replace(b"EXACT", _EXACT),
    re.DOTALL,
)
_OURS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIELD = re.compile("[a-z][a-z_]*")
_STREAM = re.compile(rb"\s*(?:data|event|id|retry)?:")
_MANY = 8  # rounds after which a text that never comes to rest is replaced as a whole


def _at(fields: tuple[str, ...], names: str) -> list[int]:
    """Return where fields stand in the header of a record, behind its kind."""
    return [1 + fields.index(name) for name in names.split()]


_IDS = {
    "E": _at(EVENT_COLUMNS, "event_id session_id parent_id"),
    "S": [1],
    "Q": _at(Q_FIELDS, "session_id parent_id url"),
}
_TEXTS = {
    "E": _at(EVENT_COLUMNS, "name agent model tool_name error_type"),
    "Q": _at(Q_FIELDS, "agent"),
    "R": _at(R_FIELDS, "error"),
}
"""Where in the header of a record ids of the user's making stand, and text; the rest is ours."""
_SESSION_IDS = ("root_session_id", "parent_session_id")
_SESSION_FACTS = ("status", "owner", "code_hash", "git_commit", "started_at", "ended_at", "score")


class CustomRedactor(Redactor):
    """Replaces secrets, and what else is wished.

    Args:
        key: as for `Redactor`.
        pii: whether to replace personal data.
        patterns: what they match is replaced.
        functions: change each text in turn. What one fails on is replaced as a whole.

    Example:
        >>> redactor = CustomRedactor(key=lambda: b"k", patterns=[re.compile("ACME-[0-9]+")])
        >>> redactor.clean(b'{"note": "ticket ACME-17 is done"}')
        b'{"note": "ticket [redacted:custom:962331b1] is done"}'
    """

    def __init__(
        self, *, key: Callable[[], bytes], pii: bool = False, patterns: list[re.Pattern[str]] | None = None,
        functions: list[Callable[[str], str]] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(key=key)
        self._patterns, self._functions = patterns or [], functions or []
        self._personal: ModuleType | None = None
        if pii:
            from peaky_peek.capture.redaction import personal  # to compile its patterns takes 10 ms

            self._personal = personal
        self._busy = threading.local()
        self.clean_record: Callable[[bytes], bytes] = self._clean_record
        self.clean_part = super().clean

    def clean(self, data: bytes) -> bytes:
        """Return `data`, which is whole JSON, a stream of events or plain text, without what is not to be recorded."""
        data = super().clean(data)
        if not data:
            return data
        if _STREAM.match(data):
            return self._json(data, with_functions=False)  # of a text in pieces they get the whole, not each piece
        if _is_json(data):
            return self._json(data)
        return self._changed(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def clean_text(self, text: str) -> str:
        """Return a text, such as an id, without secrets and what patterns find; functions are for what is recorded."""
        return self._identifier(super().clean(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass"))

    def _clean_record(self, record: bytes) -> bytes:
        line, newline, payload = super().clean(record).partition(b"\n")
        if not newline:
            return line
        header = orjson.loads(line)
        kind = header[0]
        for places, change in ((_IDS.get(kind, ()), self._identifier), (_TEXTS.get(kind, ()), self._changed)):
            for place in places:
                if isinstance(header[place], str):
                    header[place] = change(header[place])
        if kind == "S":
            payload = self._session(payload)
        elif kind == "E":
            payload = self._json(payload)
        return orjson.dumps(header) + newline + payload  # bodies of exchanges are clean before they become parts

    def _session(self, payload: bytes) -> bytes:
        fields = orjson.loads(payload)
        for name, value in fields.items():
            if name in _SESSION_IDS:
                fields[name] = self._identifier(value) if isinstance(value, str) else value
            elif name not in _SESSION_FACTS:
                fields[name] = orjson.loads(self._json(orjson.dumps(value)))
        return orjson.dumps(fields)

    def _json(self, data: bytes, *, with_functions: bool = True) -> bytes:
        """Change each text in JSON, and nothing else. Keys that are names of fields stay."""

        def change(found: re.Match[bytes]) -> bytes:
            tag, before, tagged, string, colon, number = found.groups()
            if tag is not None:
                return b'"__peek__":"%b",%b%b' % (tag, before, self._tagged(tag, tagged, with_functions))
            if number is not None:
                is_card = self._personal and self._personal.is_card(number.decode())
                return b'"%b"' % self._token("card", number) if is_card else number
            if string is None:
                return found[0]
            try:
                text = orjson.loads(string)
            except orjson.JSONDecodeError:  # not a string, or half a surrogate: it is taken as written
                text = string[1:-1].decode("utf-8", "surrogateescape")
                changed = self._changed(text, with_functions)
                return string if changed == text else orjson.dumps(changed.encode("utf-8", "replace").decode())
            if colon is not None:
                changed = text if _FIELD.fullmatch(text) else self._identifier(text)
            elif text[:1] in ("{", "[") and _is_json(inner := text.encode()):
                changed = self._json(inner, with_functions=with_functions).decode()
            else:
                changed = self._changed(text, with_functions)
            return string + (colon or b"") if changed == text else orjson.dumps(changed) + (colon or b"")

        return _TOKEN.sub(change, data)

    def _tagged(self, tag: bytes, string: bytes, with_functions: bool) -> bytes:
        text = orjson.loads(string)
        if tag == b"history":
            changed = self._identifier(text)
        elif tag == b"str":
            plain = self._changed(text.encode().decode("unicode_escape"), with_functions)
            changed = plain.encode("unicode_escape").decode()
        else:
            try:
                plain = base64.b64decode(text).decode()
            except ValueError:  # no text at all
                return string
            whole = self._changed(plain, with_functions)
            changed = text if whole == plain else base64.b64encode(whole.encode("utf-8", "surrogatepass")).decode()
        return string if changed == text else orjson.dumps(changed)

    def _identifier(self, text: str) -> str:
        return text if _OURS.fullmatch(text) else self._without_matches(text)

    def _changed(self, text: str, with_functions: bool = True) -> str:
        if _OURS.fullmatch(text):
            return text
        text = self._without_matches(text)
        for function in self._functions if with_functions else ():
            text = self._applied(function, text)
        return text

    def _applied(self, function: Callable[[str], str], text: str) -> str:
        """Let a function change a text; what it cannot be trusted with is replaced as a whole."""
        if _REDACTED.fullmatch(text):
            return text
        if not getattr(self._busy, "now", False):  # or what it records itself would call it again
            self._busy.now = True
            try:
                changed = function(text)
                if isinstance(changed, str):
                    return str.__str__(changed)
                raise TypeError(f"the redact function returned {type(changed).__name__}, not str")  # noqa: TRY301
            except Exception as error:  # noqa: BLE001 - the agent never notices
                faults.report(error)
            finally:
                self._busy.now = False
        return self._hidden(text, "failed")

    def _without_matches(self, text: str) -> str:
        """Replace what patterns find until they find nothing more, so that to do it again changes nothing."""
        for _ in range(_MANY):
            changed = self._replaced(text)
            if changed == text:
                return text
            text = changed
        return self._hidden(text, "custom")

    def _replaced(self, text: str) -> str:
        parts = []
        done = 0
        for start, end, kind in sorted(self._matches(text), key=lambda found: (found[0], -found[1])):
            if start >= done:
                parts += [text[done:start], self._hidden(text[start:end], kind)]
                done = end
        return "".join([*parts, text[done:]])

    def _matches(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield what is to be replaced, in the stretches between what is replaced already."""
        start = 0
        for known in [*_REDACTED.finditer(text), None]:
            end = len(text) if known is None else known.start()
            if self._personal:
                yield from self._personal.find(text, start, end)
            for pattern in self._patterns:
                yield from ((*found.span(), "custom") for found in pattern.finditer(text, start, end) if found[0])
            start = end if known is None else known.end()


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
