"""One session as it grows: read whole once, and from there on only what is new, whoever writes it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from peaky_peek.analysis.loops import Loop, Loops
from peaky_peek.analysis.rules import rules
from peaky_peek.capture.alerts import event_of
from peaky_peek.errors import StoreLocked
from peaky_peek.events import BehaviorAlert, Event
from peaky_peek.store import reader, sessions
from peaky_peek.store.connection import many
from peaky_peek.store.reader import Messages
from peaky_peek.store.schema import EVENT_COLUMNS
from peaky_peek.store.tail import Tail
from peaky_peek.vocabulary import CLOSES, FAMILIES
from peaky_peek.widgets import _outline, _previews, _text
from peaky_peek.widgets._growing import Growing

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_TYPES = frozenset(FAMILIES)
_OPENERS = frozenset(CLOSES.values())
_BEFORE = 2_000
"""Events before the first look that the rules are shown."""
_RECENT = f"""SELECT {", ".join(EVENT_COLUMNS)} FROM events WHERE session_id IN (SELECT value FROM json_each(?))
    AND event_type IN (SELECT value FROM json_each(?)) ORDER BY position DESC LIMIT {_BEFORE}"""  # noqa: S608
_RUN = """SELECT session_id, parent_session_id, status, ended_at FROM sessions
    WHERE root_session_id = :root OR session_id = :root"""
_SPENT = "SELECT sum(cost_usd), sum(unpriced) FROM sessions WHERE session_id IN (SELECT value FROM json_each(?))"
_RUNNING = """SELECT session_id, name, started_at FROM sessions
    WHERE status = 'running' AND parent_session_id IS NULL ORDER BY position DESC LIMIT 20"""


def newest(db: Database, since: int) -> str | None:
    """Return the run to show: the newest that is under way, else the newest that began after a position."""
    row = db.connection().execute(_NEWEST, {"since": since}).fetchone()
    return row[0] if row else None


def running(db: Database) -> list[tuple[str, str, int | None]]:
    """Return the runs that are under way, newest first: id, name, start in microseconds."""
    return [(known, name or known, started) for known, name, started in db.connection().execute(_RUNNING)]


class _Opened(NamedTuple):
    """A step that is under way."""

    row: int
    kind: str
    session_id: str
    started_ms: float | None
    event: Event
    """What opened it."""


_NEWEST = """SELECT session_id FROM sessions
    WHERE parent_session_id IS NULL AND (status = 'running' OR position > :since)
    ORDER BY status = 'running' DESC, position DESC LIMIT 1"""


@dataclass(slots=True)
class News:
    """What has come since the last look."""

    start: int
    """Row of the first new step."""
    added: list[dict[str, Any]] = field(default_factory=list)
    changed: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Steps of before that have ended, or otherwise become another."""
    previews: dict[int, str] = field(default_factory=dict)
    is_odd: bool = False
    """Whether something came out of order, so that all has to be read again."""

    @property
    def is_any(self) -> bool:
        """Whether a step is new or another."""
        return bool(self.added or self.changed)


class Following(Growing):
    """The steps of a session so far. Rows are in the order in which they were met, and a row never changes its number.

    Args:
        db: the store.
        ref: the session; None for the newest that is running, and for none when nothing is.
    """

    def __init__(self, db: Database, ref: Any = None) -> None:
        self._tail = Tail(whole=False)
        self._tail.db = db
        self._tail.begin()
        self._messages = Messages(db, whole=False)
        self._rules = rules()
        self._loops = next(rule for rule in self._rules if isinstance(rule, Loops))
        self.alerts: dict[str, BehaviorAlert] = {}
        self.cost = ""
        super().__init__(db, ref)
        self.counts = _outline.counts(self.steps)
        self.is_over = self.session is None or self.session.status != "running"
        self._open: dict[str, _Opened] = {}
        """The steps that are under way, by the event that opened them."""
        self._orphans: set[str] = set()
        """Parents that were named but not met yet."""
        if self.session is not None:
            self._look_back()

    def _meant(self, db: Database, ref: Any) -> list[str]:
        return [sessions.resolve(ref, db)] if ref is not None else [known for known, _, _ in running(db)[:1]]

    @property
    def loop(self) -> Loop | None:
        """The circle that the run is in."""
        return None if self.is_over else self._loops.now

    def open_steps(self) -> list[tuple[int, float | None]]:
        """Return the rows of the steps that are under way, and for how many milliseconds they have been."""
        return [(each.row, _age(each.started_ms)) for each in self._open.values()]

    def current(self) -> dict[str, Any] | None:
        """Return what is done now, a step under way in which no other is, and for how long; None between two steps."""
        around = {self.parent(each.row) for each in self._open.values()}
        inmost = [each for each in self._open.values() if each.row not in around]
        if not inmost:
            return None
        text = _text.one_line(inmost[-1].event.name, 60)
        more = f" and {len(inmost) - 1} more" if len(inmost) > 1 else ""
        return {"text": f"{text}{more}", "row": inmost[-1].row, "ms": _age(inmost[-1].started_ms)}

    def title(self) -> dict[str, Any]:
        """Return the headline; when nothing is running, what to do."""
        session = self.session
        if session is None:
            todo = "Nothing is running: run an agent in another cell or process and it appears here."
            note = f"{todo} {_last(self.db, sessions.resolve_many(None, self.db))}"
            return {"name": "", "status": "empty", "facts": [], "note": note}
        self.counts.cost = self.cost
        ms = None if session.duration is None else session.duration.total_seconds() * 1000
        return _outline.title(session.name or session.session_id, session.status, ms, self.counts, session.outcome)

    def news(self, wait: float = 0.0) -> News:
        """Take in what is new and return it. What it costs depends on that alone, not on what is there.

        Args:
            wait: seconds to wait for a store that is locked.
        """
        news = News(len(self))
        if self.session is None or self.is_over:
            return news
        with contextlib.suppress(StoreLocked):  # what the store holds is shown; the rest comes with the next look
            self.db.ingest(wait)
        run = self._sessions()
        root = self.session.session_id
        for rows in self._tail.new_rows(self._session_ids, [root], _TYPES):
            for row in rows:
                self._take(row[1:], news)
        ended = {session_id for session_id, (_, status, _) in run.items() if status != "running"}
        self._close(ended, news)
        if news.is_any:
            self.cost = _cost(self.db, self._session_ids)
        if root in ended:
            self.session = reader.read_session(self.db, root)
            self.is_over = True
        self.pack()
        return news

    def _look_back(self) -> None:
        """Find what is under way, and let the rules see how it came to that."""
        self._sessions()
        rows = self._base.index[self._base["running"]].tolist()
        opened = reader.events_by_id(self.db, self._base["event_id"].iloc[rows])
        for row, event in zip(rows, opened, strict=True):
            self._open[event.id] = _opened(row, event)
        types = frozenset().union(*(rule.types for rule in self._rules))
        recent = self.db.connection().execute(_RECENT, (many(self._session_ids), many(types))).fetchall()
        for row in reversed(recent):
            self._watch(self._messages.typed(row))
        for session_id in self._session_ids:
            for event in reader.read_events(self.db, session_id, ["behavior_alert"]):
                self._watch(event)
        self.cost = _cost(self.db, self._session_ids)

    def _sessions(self) -> dict[str, tuple[str | None, str, int | None]]:
        """Look at which sessions the run has by now."""
        shown = self._session_ids[0]
        root = (self.session.root_session_id if self.session else None) or shown
        run = {row[0]: row[1:] for row in self.db.connection().execute(_RUN, {"root": root})}
        inside = {shown}
        while more := {known for known, (around, *_) in run.items() if around in inside and known not in inside}:
            inside |= more
        met = set(self._session_ids)
        self._session_ids += [known for known in run if known in inside and known not in met]
        return {known: run[known] for known in self._session_ids if known in run}

    def _take(self, row: Sequence[Any], news: News) -> None:
        """Add an event: it ends a step, or is one."""
        event_id, session_id, _, parent_id, kind, name, agent = row[:7]
        if event_id in self._row_of:  # it came between the first look and the second
            return
        event = self._messages.typed(row)
        self._watch(event)
        news.is_odd = news.is_odd or event_id in self._orphans
        around = self._open.get(parent_id)
        if around is not None and CLOSES.get(kind) == around.kind:
            self._end(around, event, row, news)
            return
        parent = self._row_of.get(parent_id, -1)
        if parent < 0 and (parent_id is not None or session_id != self._session_ids[0]):
            parent = 0 if len(self) else -1  # lost, or the beginning of a nested session
            if parent_id is not None:
                self._orphans.add(parent_id)
        failed, suspect = bool(row[11]), row[12]
        step = {
            "event_id": event_id, "close_id": None, "parent": parent,
            "depth": self._depth[parent] + 1 if parent >= 0 else 0, "event_type": kind, "name": name,
            "agent": agent, "timestamp": event.timestamp, "duration_ms": row[8], "cost_usd": _number(row[17]),
            "input_tokens": _whole_number(row[15]), "output_tokens": _whole_number(row[16]), "importance": row[10],
            "failed": failed, "suspect": suspect, "status": row[9], "running": kind in _OPENERS,
            "derived": kind == "decision" and event.metadata.get("derived") is True,
            "family": "risk" if failed else FAMILIES[kind],
        }  # fmt: skip
        at = self.add(step)
        self._count(step)
        if step["running"]:
            self._open[event_id] = _opened(at, event)
        news.added.append(step)
        news.previews[at] = _previews.preview([event])

    def _end(self, around: _Opened, event: Event, row: Sequence[Any], news: News) -> None:
        """Close a step with the event that ends it."""
        at, opener = around.row, around.event
        before = self.step(at)
        self._open.pop(opener.id)
        self._row_of[event.id] = at
        duration = row[8]
        if duration is None and opener.time_us and event.time_us and event.time_us > opener.time_us:
            duration = (event.time_us - opener.time_us) / 1000
        said = {
            "duration_ms": duration, "cost_usd": _number(row[17]), "input_tokens": _whole_number(row[15]),
            "output_tokens": _whole_number(row[16]), "status": row[9], "suspect": row[12],
        }  # fmt: skip
        step = before | {name: value for name, value in said.items() if value is not None}
        failed = before["failed"] or bool(row[11])
        known = [value for value in (before["importance"], row[10]) if value is not None]
        step |= {"close_id": event.id, "running": False, "failed": failed, "importance": max(known, default=None)}
        if failed:
            step["family"] = "risk"
        self._replace(at, step, news)
        news.previews[at] = _previews.preview([opener, event])

    def _close(self, ended: set[str], news: News) -> None:
        """Let go of what is open in sessions that have ended, as those of a process that was killed."""
        for event_id, each in list(self._open.items()):
            if each.session_id in ended:
                self._open.pop(event_id)
                self._replace(each.row, self.step(each.row) | {"running": False}, news)

    def _replace(self, row: int, step: dict[str, Any], news: News) -> None:
        self._count(self.step(row), -1)
        self._count(step)
        self.replace(row, step)
        if row >= news.start:
            news.added[row - news.start] = step
        else:
            news.changed[row] = step

    def _count(self, step: dict[str, Any], by: int = 1) -> None:
        counts = self.counts
        counts.steps += by
        counts.llm_calls += by * (step["event_type"] == "llm_request")
        counts.tool_calls += by * (step["event_type"] == "tool_call")
        counts.failed += by * step["failed"]
        counts.suspect += by * (step["suspect"] is not None)
        counts.tokens += by * ((step["input_tokens"] or 0) + (step["output_tokens"] or 0))

    def _watch(self, event: Event) -> None:
        """Let the rules see an event."""
        if isinstance(event, BehaviorAlert):
            self.alerts[event.id] = event
        for rule in self._rules:
            if event.event_type in rule.types:
                for alert in rule.feed(event):
                    made = event_of(alert, event)
                    self.alerts.setdefault(made.id, made)


def _age(started_ms: float | None) -> float | None:
    return None if started_ms is None else time.time() * 1000 - started_ms


def _opened(row: int, event: Event) -> _Opened:
    started = None if event.time_us is None else event.time_us / 1000
    return _Opened(row, event.kind, event.session_id, started, event)


def _last(db: Database, ids: Iterable[str]) -> str:
    for session in reader.read_sessions(db, ids):
        return f"The last run was {session.name or session.session_id} ({session.status})."
    return sessions.NOTHING_RECORDED


def _cost(db: Database, session_ids: list[str]) -> str:
    """Return what was spent so far, as people say it; nothing when that is not known."""
    spent, unpriced = db.connection().execute(_SPENT, (many(session_ids),)).fetchone()
    return "" if spent is None else f"{'at least ' if unpriced else ''}{_text.cost(spent)}"


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) else None


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
