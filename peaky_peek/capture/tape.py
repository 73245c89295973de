"""The tape: plays a recorded session to the code that made it, without the network and without running its tools.

Model calls are answered from the recorded exchanges, tools from their recorded results. What was not recorded is never
made up: it raises `NotOnTape`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

from peaky_peek import encoding, store
from peaky_peek.capture import background, playing
from peaky_peek.capture.context import open_sessions
from peaky_peek.capture.differences import difference
from peaky_peek.capture.matching import Recorded, canonical
from peaky_peek.capture.recorder import options, recorder
from peaky_peek.capture.served import Served
from peaky_peek.errors import NotOnTape
from peaky_peek.store import exchanges, sessions
from peaky_peek.store.exchanges import Exchange
from peaky_peek.store.started import started

if TYPE_CHECKING:
    import sqlite3

_TOKEN = re.compile(rb"\[redacted:([a-z-]+):")
_TREE = """WITH RECURSIVE tree (session_id) AS (
    SELECT ? UNION SELECT s.session_id FROM sessions s JOIN tree ON s.parent_session_id = tree.session_id)"""
_EXCHANGES = f"{_TREE} SELECT exchange_id FROM exchanges WHERE session_id IN tree ORDER BY position"  # noqa: S608
_TOOLS = f"""{_TREE} SELECT c.event_id, c.tool_name, c.payload, r.payload, r.status, r.duration_ms FROM events c
    LEFT JOIN events r ON r.session_id = c.session_id AND r.parent_id = c.event_id AND r.event_type = 'tool_result'
    WHERE c.session_id IN tree AND c.event_type = 'tool_call' AND c.payload ->> '$.metadata.derived' IS NULL
    ORDER BY c.position"""  # noqa: S608
_PARENTS = f"{_TREE} SELECT event_id, parent_id FROM events WHERE session_id IN tree"  # noqa: S608
_NEWEST = """SELECT session_id FROM sessions WHERE parent_session_id IS NULL AND forked_from IS NULL
    ORDER BY position DESC, rowid DESC"""


@contextmanager
def tape(session: Any = None, *, tools: Literal["recorded", "live"] = "recorded") -> Iterator[Tape]:
    """Play a session: the code in the block gets the bytes that were recorded, with the network off.

    Holds for the code in the block and all that it starts in this process, threads included. Model calls of every SDK
    that is recorded are answered in the order in which the same was asked, streams chunk by chunk, failures as
    failures. Requests that are no model calls go where they always go. The run is recorded as any other; its session
    says in `forked_from` what it was played from.

    Args:
        session: a session reference; its nested sessions are on the tape too. None for the newest run that was not
            itself played, and is not the one around this code.
        tools: "recorded" answers tools that are decorated with `pp.tool`, or run by PydanticAI, LangChain or the OpenAI
            Agents SDK, with their recorded results, and does not run them; "live" runs them.

    Yields:
        The `Tape`: its `repr` tells how much of it was played.

    Raises:
        SessionNotFound: when there is no such session.
        NotOnTape: in the code that asks for it, for what was not recorded, with the difference to what was.

    Example:
        >>> import peaky_peek as pp
        >>> @pp.tool
        ... def roll():
        ...     return __import__("random").random()
        >>> with pp.trace_session("dice"):
        ...     first = roll()
        >>> with pp.tape("dice"), pp.trace_session("the same again"):
        ...     roll() == first
        True
    """
    if tools not in ("recorded", "live"):
        raise ValueError(f'tools is "recorded" or "live", not {tools!r}.')
    database = store.current()
    database.ingest()
    connection = database.connection()
    played = (_newest(connection) if session is None else None) or sessions.resolve(session, database)
    tape = Tape(connection, played, is_live=tools == "live")
    before = playing.begin(tape)
    try:
        yield tape
    finally:
        playing.end(tape, before)


def _newest(connection: sqlite3.Connection) -> str | None:
    """Return the newest run that was not played itself and is not under way here, rather of those of this process."""
    found = [row[0] for row in connection.execute(_NEWEST) if row[0] not in open_sessions]
    return next((each for each in reversed(started) if each in set(found)), found[0] if found else None)


class _Call(NamedTuple):
    """A tool call that was recorded."""

    event_id: str
    name: str
    result: str | None
    status: str | None
    duration_ms: float | None


class Tape:
    """A session that is being played.

    Attributes:
        session_id: The session.
    """

    def __init__(self, connection: sqlite3.Connection, session_id: str, *, is_live: bool) -> None:
        self.session_id = session_id
        self._is_live = is_live
        self._exchanges = Recorded[Exchange]()
        self._tools = Recorded[_Call]()
        self._inside: defaultdict[str, list[tuple[Recorded[Any], int]]] = defaultdict(list)
        """What was asked for inside a tool, by the event of its call: a tool that is not run does not ask."""
        (self._name,) = connection.execute(
            "SELECT coalesce(name, session_id) FROM sessions WHERE session_id = ?", (session_id,)
        ).fetchone()
        rows = () if is_live else connection.execute(_TOOLS, (session_id,)).fetchall()
        ids = connection.execute(_EXCHANGES, (session_id,)).fetchall()
        loaded = [each for (each_id,) in ids if (each := exchanges.load(connection, each_id)) is not None]
        tools = [
            (orjson.dumps(orjson.loads(call).get("arguments")), _Call(event_id, name, *answer))
            for event_id, name, call, *answer in rows
        ]
        clean, self._clean = _cleaners([*(each.request for each in loaded), *(arguments for arguments, _ in tools)])
        parents = dict(connection.execute(_PARENTS, (session_id,)).fetchall()) if rows else {}
        self._promised = {
            background.announced(each.response) for each in loaded if background.is_running(each.response)
        }
        for each in loaded:
            asked, each.request = canonical(clean(each.request)), b""  # it is held once
            number = self._exchanges.add(_kind(each.method, each.url), asked, each)
            self._put(self._exchanges, number, each.event_id, parents)
        for arguments, call in tools:
            number = self._tools.add(call.name, canonical(clean(arguments)), call)
            self._put(self._tools, number, parents.get(call.event_id), parents)

    def _put(self, recorded: Recorded[Any], number: int, within: str | None, parents: dict[str, str | None]) -> None:
        """Remember in which events something was asked for."""
        while within is not None:
            self._inside[within].append((recorded, number))
            within = parents.get(within)

    def _asked(self, body: bytes) -> str:
        return canonical(self._clean(body))

    def promised(self, answer_id: str) -> bool:
        """Tell whether an answer is one that a recorded call was to bring in the background."""
        return answer_id in self._promised

    def exchange(self, method: str, url: str, body: bytes) -> Exchange:
        """Take the exchange that answers a request.

        Raises:
            NotOnTape: there is none.
        """
        kind, asked = _kind(method, url), self._asked(body)
        taken = self._exchanges.take(kind, asked)
        if taken is None:
            raise self._missing("request", self._exchanges, kind, asked)
        if taken.item.duration_ms is None:
            raise self._unanswered("request")
        return taken.item

    def tool(self, name: str, arguments: Any, function: Callable[..., Any] | None = None) -> Served | None:
        """Take the result of a tool that was called with the same arguments.

        Args:
            name: The tool's.
            arguments: What it is called with.
            function: What will not be run, if it is known: it says which types it returns.

        Returns:
            The result, or None if the tool is to run: all are, or this one paused, to wait for somebody.

        Raises:
            NotOnTape: it was not called with them, or its result is not known.
        """
        if self._is_live:
            return None
        asked = self._asked(encoding.encode(arguments))
        taken = self._tools.take(name, asked)
        if taken is None:
            raise self._missing(f"call of {name}", self._tools, name, asked)
        call = taken.item
        if call.result is None:
            raise self._unanswered(f"call of {name}")

        def begin() -> None:
            for recorded, number in self._inside.get(call.event_id, ()):
                recorded.drop([number])

        served = Served(name, call.result, call.status, (call.duration_ms or 0) / 1000, begin, function)
        return None if served.paused else served

    def _unanswered(self, what: str) -> NotOnTape:
        return NotOnTape(f"This {what} is on the tape of {self._name!r}, but the recording ends before its answer.")

    def _missing(self, what: str, recorded: Recorded[Any], kind: str, asked: str) -> NotOnTape:
        closest = recorded.closest(kind, asked)
        if closest == asked:
            return NotOnTape(f"This {what} is on the tape of {self._name!r}, but was made less often then than now.")
        if closest is None:
            known = ", ".join(sorted(map(str, recorded.kinds))[:5])
            what_is = f"on it: {known}" if known else "it has none at all"
            return NotOnTape(f"Nothing like this {what} is on the tape of {self._name!r} ({kind}); {what_is}.")
        differs = difference(closest, asked)
        hint = "\nIt was recorded with other things redacted than now." * ("[redacted:" in differs)
        return NotOnTape(
            f"This {what} is not on the tape of {self._name!r}."
            f" It differs from the closest one that is (- recorded, + asked now):\n{differs}{hint}"
        )

    def __repr__(self) -> str:
        played = f"{self._exchanges.taken} of {len(self._exchanges)} exchanges"
        tools = "" if self._is_live else f", {self._tools.taken} of {len(self._tools)} tools"
        return f"Tape({self._name!r}, {played}{tools} played)"


def _cleaners(bodies: list[bytes]) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    """Return what makes requests comparable, whatever was redacted when they were recorded and is now.

    The first cleans what was recorded, the second what is asked now, also with the user's own functions: they need not
    come to the same when they are applied twice.
    """
    wish = options().get("redact", "secrets")
    wishes: list[Any] = list(wish) if isinstance(wish, (list, tuple)) else ["secrets" if wish is None else wish]
    kinds = {found.decode() for body in bodies for found in _TOKEN.findall(body)}
    if kinds and "pii" not in wishes:
        from peaky_peek.capture.redaction import personal  # most never need what it has to load

        wishes += ["pii"] * any(kind.name in kinds for kind in personal.KINDS)
    patterns = [each for each in wishes if not callable(each)]
    return recorder().redactor_as(patterns or ["secrets"]).clean, recorder().redactor_as(wishes).clean


def _kind(method: str, url: str) -> str:
    """Return what is asked of whom: a recording is played on any host, proxies and ports differ."""
    rest = url.partition("://")[2]
    path = "/" + rest.partition("?")[0].partition("/")[2]
    return path if method == "POST" else f"{method} {path}"
