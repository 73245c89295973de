"""The tape: plays a recorded session to the code that made it, without the network and without running its tools.

Model calls are answered from the recorded exchanges, tools from their recorded results. What was not recorded is never
made up: it raises `NotOnTape`.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson

from peaky_peek import encoding, store
from peaky_peek.capture import context
from peaky_peek.capture.matching import Recorded, canonical, difference
from peaky_peek.capture.recorder import recorder
from peaky_peek.errors import NotOnTape
from peaky_peek.store import exchanges, sessions
from peaky_peek.store.exchanges import Exchange

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_TREE = """WITH RECURSIVE tree (session_id) AS (
    SELECT ? UNION SELECT s.session_id FROM sessions s JOIN tree ON s.parent_session_id = tree.session_id)"""
_EXCHANGES = f"{_TREE} SELECT exchange_id FROM exchanges WHERE session_id IN tree ORDER BY position"  # noqa: S608
_TOOLS = f"""{_TREE} SELECT c.tool_name, c.payload, r.payload, r.status FROM events c JOIN events r
    ON r.session_id = c.session_id AND r.parent_id = c.event_id AND r.event_type = 'tool_result'
    WHERE c.session_id IN tree AND c.event_type = 'tool_call' AND c.payload ->> '$.metadata.derived' IS NULL
    ORDER BY c.position"""  # noqa: S608


@contextmanager
def tape(session: Any = None, *, tools: Literal["recorded", "live"] = "recorded") -> Iterator[Tape]:
    """Play a session: the code in the block gets the bytes that were recorded, with the network off.

    Holds for the whole process while the block runs. Model calls of every SDK that is recorded are answered in the
    order in which the same was asked, streams chunk by chunk, failures as failures. Requests that are no model calls go
    where they always go.

    Args:
        session: a session reference; its nested sessions are on the tape too.
        tools: "recorded" answers tools that are decorated with `pp.tool`, or run by PydanticAI, LangChain or the OpenAI
            Agents SDK, with their recorded results, and does not run them; "live" runs them.

    Yields:
        The `Tape`: how much of it was played.

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
    playing = Tape(database, sessions.resolve(session, database), is_live=tools == "live")
    before, context.tape = context.tape, playing
    try:
        yield playing
    finally:
        context.tape = before


class Served(NamedTuple):
    """What a recorded tool came to, with the `data` of its result."""

    result: Any
    error: str | None
    data: dict[str, Any]

    def __call__(self) -> Any:
        """Return the result, or raise what the tool raised: the same for builtin exceptions, else one of that name."""
        if self.error is None:
            return self.result
        name, _, message = self.error.partition(": ")
        kind = getattr(builtins, name, None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            kind = type(name, (Exception,), {})
        raise kind(message)


class Tape:
    """A session that is being played.

    Attributes:
        session_id: The session.
    """

    def __init__(self, database: Database, session_id: str, *, is_live: bool) -> None:
        self.session_id = session_id
        self._is_live = is_live
        self._exchanges = Recorded[Exchange]()
        self._tools = Recorded[bytes | None]()
        connection = database.connection()
        (self._name,) = connection.execute(
            "SELECT coalesce(name, session_id) FROM sessions WHERE session_id = ?", (session_id,)
        ).fetchone()
        for (exchange_id,) in connection.execute(_EXCHANGES, (session_id,)).fetchall():
            exchange = exchanges.load(connection, exchange_id)
            if exchange is not None and (exchange.status is not None or exchange.error is not None):
                self._exchanges.add(_path(exchange.url), canonical(exchange.request), exchange)
        for name, call, result, status in () if is_live else connection.execute(_TOOLS, (session_id,)).fetchall():
            arguments = orjson.dumps(orjson.loads(call).get("arguments"))
            self._tools.add(name, canonical(arguments), None if status == "cancelled" else result.encode())

    def exchange(self, url: str, body: bytes) -> Exchange:
        """Take the exchange that answers a request.

        Raises:
            NotOnTape: there is none.
        """
        asked = canonical(recorder().redactor.clean(body))
        taken = self._exchanges.take(_path(url), asked)
        if taken is None:
            raise self._missing("request", self._exchanges, _path(url), asked)
        return taken[0]

    def tool(self, name: str, arguments: Any) -> Served | None:
        """Take the result of a tool that was called with the same arguments.

        Returns:
            The result, or None if the tool is to run: all are, or this one came to no end when it was recorded.

        Raises:
            NotOnTape: it was not called with them, or returned what a recording cannot give back.
        """
        if self._is_live:
            return None
        asked = canonical(recorder().redactor.clean(encoding.encode(arguments)))
        taken = self._tools.take(name, asked)
        if taken is None:
            raise self._missing(f"call of {name}", self._tools, name, asked)
        (found,) = taken
        if found is None:
            return None
        if any(mark in found for mark in (b'"__peek__":"repr"', b'"__peek__":"cut"')):
            raise NotOnTape(
                f"What {name} returned is recorded as text only, because it is an object of its own kind or was cut:"
                ' run the tools with `pp.tape(..., tools="live")`.'
            )
        result = encoding.decode(found)
        return Served(result.get("result"), result.get("error"), result.get("data") or {})

    def _missing(self, what: str, recorded: Recorded[Any], kind: str, asked: str) -> NotOnTape:
        closest = recorded.closest(kind, asked)
        if closest == asked:
            return NotOnTape(f"This {what} is on the tape of {self._name!r}, but was made less often then than now.")
        if closest is None:
            return NotOnTape(f"Nothing like this {what} is on the tape of {self._name!r} ({kind}): record it again.")
        return NotOnTape(
            f"This {what} is not on the tape of {self._name!r}. It differs from the closest one that is:\n"
            f"{difference(closest, asked)}"
        )

    def __repr__(self) -> str:
        played = f"{self._exchanges.taken} of {len(self._exchanges)} exchanges"
        tools = "" if self._is_live else f", {self._tools.taken} of {len(self._tools)} tools"
        return f"Tape({self._name!r}, {played}{tools} played)"


def _path(url: str) -> str:
    """Return the path of a URL: a recording is played on any host, proxies and ports differ."""
    rest = url.partition("://")[2]
    return "/" + rest.partition("?")[0].partition("/")[2]
