"""Runs are watched while they run: rules and listeners are told of every event, each once, in order.

The store is the one place that sees all of it: what verbs record, what model calls turn out to mean, what child
processes do. So one thread follows the end of the store, and nothing happens on the path that records.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from peaky_peek import ids, store
from peaky_peek.capture import context, faults, limits, listeners
from peaky_peek.capture.alerts import Alert, Rule, event_of
from peaky_peek.capture.context import SILENT, Limits, OpenSession
from peaky_peek.capture.recorder import recorder
from peaky_peek.errors import PeekError
from peaky_peek.events import BehaviorAlert, Event
from peaky_peek.store.database import Database

if TYPE_CHECKING:
    from peaky_peek.store.tail import Tail

RULES = ""
"""The dotted name of a module whose `rules(limits)` makes the rules that watch a run."""
_PAUSE = 0.05


@dataclass(slots=True, eq=False)
class _Run:
    """A root session that this process has open, or had until a moment ago."""

    session: OpenSession
    since: int
    rules: list[Rule] | None = None
    """Made when the first event is looked at."""
    limits: Limits | None = None
    """Those that the rules know of."""
    alerts: set[str] = field(default_factory=set)
    """The ids of its alerts."""
    coming: set[str] = field(default_factory=set)
    """Those of them that are not in the store yet: they are events to tell of, too."""


_runs: dict[str, _Run] = {}
_roots: dict[str, str] = {}
"""The root of each session of this process that is watched."""


@faults.guarded
def watch(session: OpenSession) -> None:
    """Tell listeners and rules of a session that begins, if anybody wants to know."""
    if begun and session.sampled and session.root_id == session.id:
        for tell in begun:
            tell(session.id)
    if not session.sampled or not (listeners.registered or session.limits is not None or session.followed):
        return
    if session.root_id == session.id:
        run = _runs.setdefault(session.id, _Run(session, ids.new_position()))
        run.session = session  # one that is resumed before its end was told goes on
    if session.root_id in _runs:
        _roots[session.id] = session.root_id
        _thread.start()


context.watch = watch


begun: list[Callable[[str], None]] = []
"""Told the id of each run that begins in this process, by whoever begins it."""


def follow(session_id: str) -> None:
    """Let the rules watch a run of this process because somebody looks at it."""
    session = context.open_sessions.get(session_id)
    root = None if session is None else context.open_sessions.get(session.root_id)
    if root is not None and not root.followed:
        root.followed = True
        watch(root)


class _Thread:
    """The thread; it runs while something is watched."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._asked = self._answered = 0
        self._stopped = False
        self._tails: dict[Path, tuple[Tail, set[str]]] = {}
        """The end of each store in use, and the runs whose beginning there was looked at."""

    def start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._stopped = False
                self._thread = threading.Thread(target=self._run, name="peaky-peek-listeners", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is going down, or may have no more threads
                    self._thread = None

    def settle(self, wait: float) -> bool:
        """Wait until all that is in the store by now was told; return whether there was anybody to tell."""
        if not _runs or self._thread in (None, threading.current_thread()):
            return False
        with self._changed:
            self._asked += 1
            mine = self._asked
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._answered >= mine or self._thread is None, wait)

    def stop(self) -> None:
        """End it, whatever is left to tell."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            thread.join(2.0)

    def _run(self) -> None:
        context.CURRENT.set(SILENT)  # what listeners do is no part of any run
        last: Database | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._asked > self._answered, _PAUSE)
                asked = self._asked
            database = store.current()
            try:
                if last is not None and last is not database:
                    self._serve(last)
                    last.close()
                last = database
                self._let_go(self._serve(database))
            except (PeekError, sqlite3.Error):
                pass  # such as a store that is locked: its events come with the next look
            except Exception as error:  # noqa: BLE001 - the agent never notices
                faults.report(error)
            with self._changed:
                self._answered = asked
                is_done = self._stopped or not _runs
                if is_done:
                    self._thread = None
                    self._tails.clear()
                self._changed.notify_all()
            if is_done:
                database.close()
                return

    def _serve(self, database: Database) -> list[OpenSession]:
        """Tell of what is new in a store, and return which runs had ended there before."""
        from peaky_peek.store.tail import Tail  # reads typed events, which most who record never do

        is_told_requests = any("llm_request" in listener.types for listener in list(listeners.registered.values()))
        tail, met = self._tails.setdefault(database.path, (Tail(), set()))
        tail.db, tail.whole = database, is_told_requests  # rules look at what is new in a conversation
        runs = dict(_runs)
        over = [run.session for run in runs.values() if _is_over(run, tail)]
        types = frozenset().union(*(listener.types for listener in list(listeners.registered.values())))
        for run in runs.values():
            if run.limits != run.session.limits:
                run.rules, run.limits, run.since = None, run.session.limits, ids.new_position()
                met.discard(run.session.id)  # the new rules have all of it before them, and the listeners had it
            if run.rules is None:
                run.rules = import_module(RULES).rules(run.limits) if RULES else []
            types |= frozenset().union(*(rule.types for rule in run.rules), {"behavior_alert"})
        news = [root for root in runs if root not in met]
        for root in news:
            met.add(root)
            _show_beginning(runs[root], list(tail.before(root, types)))
        if tail.moved() or news:
            for root, event in tail.news(dict(_roots), runs.keys(), types):
                if root in runs:
                    _tell(runs[root], event)
        return over

    def _let_go(self, ended: list[OpenSession]) -> None:
        """Forget runs that have ended, once everybody was told of their last alert."""
        for session in ended:
            run = _runs.get(session.id)
            if run is None or run.coming or run.session is not session:  # it goes on: it was resumed meanwhile
                continue
            _runs.pop(session.id, None)
            for _, met in self._tails.values():
                met.discard(session.id)
            for nested in [known for known, root in list(_roots.items()) if root == session.id]:
                _roots.pop(nested, None)


def _is_over(run: _Run, tail: Tail) -> bool:
    if run.session.ended:
        return not tail.is_running(run.session.id)
    return run.session.id not in context.open_sessions


def _show_beginning(run: _Run, events: list[Event]) -> None:
    """Let the rules see how a run began; what is an alert already stays the only one of its kind."""
    run.alerts |= {event.id for event in events if isinstance(event, BehaviorAlert)}
    for event in events:
        _tell(run, event, is_news=event.position > run.since)


def _tell(run: _Run, event: Event, *, is_news: bool = True) -> None:
    if isinstance(event, BehaviorAlert):
        run.alerts.add(event.id)
        run.coming.discard(event.id)
    found: list[Alert] = []
    for rule in run.rules or ():
        if event.event_type in rule.types:
            try:
                found += rule.feed(event)
            except Exception as error:  # noqa: BLE001 - the agent never notices
                faults.report(error)
    if is_news:
        found += listeners.tell(event)
    for alert in found:
        _record(run, alert, event)


def _record(run: _Run, alert: Alert, event: Event) -> None:
    made = event_of(alert, event)
    if made.id in run.alerts:
        return
    run.alerts.add(made.id)
    run.coming.add(made.id)
    recorder().record(made)
    if alert.signal and run.limits and (event.position > run.since or alert.alert_type != "loop"):
        limits.note(run.session.id, run.limits, alert.alert_type, alert.signal)
    if alert.show:
        line = f"Peaky Peek: {alert.signal or alert.alert_type} ({run.session.name})"
        try:
            print(line, file=sys.stderr, flush=True)  # noqa: T201
        except Exception as error:  # noqa: BLE001 - nobody listens there
            faults.note("could not show an alert", error)


_thread = _Thread()


def settle(wait: float = 2.0) -> bool:
    """Wait until listeners were told of all that is in the store; return whether that may have added alerts."""
    return _thread.settle(wait)


limits.settle = settle


def catch_up() -> None:
    """Tell of all that was recorded by now."""
    if _runs:
        try:
            store.current().ingest(wait=1.0)
        except Exception as error:  # noqa: BLE001 - what listeners are not told of is recorded all the same
            if not isinstance(error, PeekError):
                faults.report(error)
        settle()


def finish() -> None:
    """Tell of what is left, at the end."""
    catch_up()
    _thread.stop()


def clear() -> None:
    """Forget all listeners and runs."""
    listeners.registered.clear()
    _runs.clear()
    _roots.clear()


def _after_fork() -> None:
    global _thread
    _runs.clear()
    _roots.clear()
    _thread = _Thread()


atexit.register(finish)
os.register_at_fork(after_in_child=_after_fork)
