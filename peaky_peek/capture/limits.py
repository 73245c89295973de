"""What a run may do, and the one thing of ours that may stop an agent: its user said so."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Literal, NoReturn

from peaky_peek import store
from peaky_peek.capture import context, faults, spending
from peaky_peek.capture.context import Limits, OpenSession, stopping_on
from peaky_peek.errors import BudgetExceeded, LoopDetected, PeekError, RunStopped

StopOn = str | Iterable[str] | None
settle: Callable[[float], object] | None = None
"""Waits until the rules have seen all that is in the store by now."""
_WORDS = ("cost", "loop")
_WAIT = 0.5
_LOOP = """SELECT e.payload ->> '$.signal' FROM sessions s JOIN events e ON e.session_id = s.session_id
    WHERE (s.root_session_id = :root OR s.session_id = :root) AND e.event_type = 'behavior_alert' AND e.name = 'loop'
    AND e.failed LIMIT 1"""


def chosen(
    max_cost_usd: float | None, on_limit: Literal["warn", "raise"] = "warn", stop_on: StopOn = None
) -> Limits | None:  # fmt: skip
    """Return the limits that the user asks for, or None.

    Raises:
        ValueError: for what is no limit.
    """
    if on_limit not in ("warn", "raise"):
        raise ValueError(f'on_limit is "warn" or "raise", not {on_limit!r}.')
    if max_cost_usd is not None:
        is_number = isinstance(max_cost_usd, (int, float)) and not isinstance(max_cost_usd, bool)
        if not is_number or not 0 < max_cost_usd < math.inf:
            raise ValueError(f"max_cost_usd is a number of US dollars above 0, or None, not {max_cost_usd!r}.")
        max_cost_usd = float(max_cost_usd)
    is_final = max_cost_usd is not None and on_limit == "raise"
    words = reasons(stop_on, max_cost_usd) | ({"cost"} if is_final else set())
    return Limits(max_cost_usd, words) if words or max_cost_usd is not None else None


def reasons(stop_on: StopOn, max_cost_usd: float | None) -> frozenset[str]:
    """Return what a run is to be stopped for.

    Raises:
        ValueError: for another word, and for a cost that has no limit.
    """
    given = stop_on.replace(",", " ").split() if isinstance(stop_on, str) else [str(word) for word in stop_on or ()]
    if strange := [word for word in given if word not in _WORDS]:
        raise ValueError(f'stop_on is "loop", "cost" or a list of them, not {strange[0]!r}.')
    if "cost" in given and max_cost_usd is None:
        raise ValueError('stop_on="cost" needs to know the limit: say pp.init(max_cost_usd=...) before.')
    return frozenset(given)


def tighten(session: OpenSession, stop_on: frozenset[str]) -> None:
    """Stop a run for some more while an agent in it works."""
    for each in _with_root(session):
        each.stopping.append(stop_on)
        apply(each)


def loosen(session: OpenSession, stop_on: frozenset[str]) -> None:
    """Undo `tighten`: what the agent was stopped for says nothing against the next one."""
    for each in _with_root(session):
        run = each.root_id, each.limits
        if stop_on in each.stopping:
            each.stopping.remove(stop_on)
        apply(each)
        if _beyond.get(run, (None, ""))[0] is LoopDetected:
            _beyond.pop(run)


def apply(session: OpenSession) -> None:
    """Let a session do what holds in general and for the agents in it."""
    session.limits = stopping_on(session.general, frozenset().union(*session.stopping))
    if context.watch is not None:
        context.watch(session)


def _with_root(session: OpenSession) -> Iterator[OpenSession]:
    root = context.open_sessions.get(session.root_id)
    yield from (root, session) if root is not None and root is not session else (session,)


def stop_if_beyond(session: OpenSession, *, is_model_call: bool = True) -> None:
    """Let nothing more happen in a run that is beyond its limits, if the user said so.

    Args:
        session: where something is about to happen.
        is_model_call: whether it costs something.

    Raises:
        RunStopped: it is.
    """
    try:
        allowed = session.limits
        if allowed is None or not allowed.stop_on or not session.sampled:
            return
        run = session.root_id, allowed
        if run not in _beyond and (is_model_call or "loop" in allowed.stop_on):
            _look(session.root_id, allowed)
        if run in _beyond:
            _stop(*_beyond[run])
    except Exception as error:  # noqa: BLE001 - the agent never notices anything else
        faults.report(error)


def _stop(kind: type[RunStopped], sentence: str) -> NoReturn:
    raise kind(sentence)


def _look(root_id: str, allowed: Limits) -> None:
    """Take in what is pending, add up, and let the rules look at it."""
    with suppress(PeekError, sqlite3.Error):  # locked by somebody for long: what is known has to do
        store.current().ingest(wait=_WAIT)
    with suppress(PeekError, sqlite3.Error):
        if "cost" in allowed.stop_on and allowed.max_cost_usd is not None:
            cost, unpriced = spending.spent(root_id)
            if cost is not None and spending.is_over(cost, allowed.max_cost_usd):
                note(root_id, allowed, "cost_budget", spending.in_words(cost, unpriced, allowed.max_cost_usd))
        if "loop" in allowed.stop_on and root_id in context.open_sessions:
            if settle is not None:
                settle(_WAIT)
        elif "loop" in allowed.stop_on:  # the process of the root looks at this one too
            found = store.current().connection().execute(_LOOP, {"root": root_id}).fetchone()
            if found is not None:
                note(root_id, allowed, "loop", found[0])


def note(root_id: str, allowed: Limits, alert_type: str, what: str) -> None:
    """Remember that a run is beyond its limits."""
    run = root_id, allowed
    if alert_type == "loop" and "loop" in allowed.stop_on:
        _beyond.setdefault(run, (LoopDetected, f'{what}: the run stops here because of stop_on="loop".'))
    elif alert_type == "cost_budget" and "cost" in allowed.stop_on:
        sentence = f"{what}: the run stops here. `pp.init(max_cost_usd=...)` sets another limit."
        _beyond.setdefault(run, (BudgetExceeded, sentence))


_beyond: dict[tuple[str, Limits | None], tuple[type[RunStopped], str]] = {}
"""The runs of this process that are beyond their limits, and what is said of them."""
