"""What a run costs, what it may cost, and the one thing of ours that may stop an agent: its user said so."""

from __future__ import annotations

import math
import sqlite3
from contextlib import suppress
from typing import Literal, NoReturn

from peaky_peek import store
from peaky_peek.capture import faults
from peaky_peek.capture.context import Budget, OpenSession
from peaky_peek.errors import BudgetExceeded, PeekError

_WAIT = 0.5
_SUM = "SELECT sum(cost_usd), sum(unpriced) FROM sessions WHERE root_session_id = :root OR session_id = :root"


def budget(max_cost_usd: float | None, on_limit: Literal["warn", "raise"]) -> Budget | None:
    """Return the budget that the user asks for, or None.

    Raises:
        ValueError: for what is no limit.
    """
    if on_limit not in ("warn", "raise"):
        raise ValueError(f'on_limit is "warn" or "raise", not {on_limit!r}.')
    if max_cost_usd is None:
        return None
    is_number = isinstance(max_cost_usd, (int, float)) and not isinstance(max_cost_usd, bool)
    if not is_number or not 0 < max_cost_usd < math.inf:
        raise ValueError(f"max_cost_usd is a number of US dollars above 0, or None, not {max_cost_usd!r}.")
    return Budget(float(max_cost_usd), on_limit == "raise")


def is_over(spent: float, max_cost_usd: float) -> bool:
    """Tell whether more was spent than allowed; the order of a sum makes no difference."""
    return spent > max_cost_usd * (1 + 1e-9)


def in_words(spent: float | None, unpriced: int, max_cost_usd: float | None = None) -> str:
    """Return what was spent, as people say it.

    >>> in_words(1.02, 0, 1.0)
    '$1.02 of $1.00 spent'
    >>> in_words(0.83, 3)
    'at least $0.83, 3 calls unpriced'
    """
    from peaky_peek.capture.pricing import dollars

    least = "at least " if unpriced else ""
    limit = "" if max_cost_usd is None else f" of {dollars(max_cost_usd)} spent"
    calls = f", {unpriced} call{'s' * (unpriced != 1)} unpriced" if unpriced else ""
    return f"{least}{dollars(spent or 0.0)}{limit}{calls}"


def spent(root_id: str) -> tuple[float | None, int]:
    """Return what a run has cost as far as the store knows, and how many calls have no known price."""
    cost, unpriced = store.current().connection().execute(_SUM, {"root": root_id}).fetchone()
    return cost, unpriced or 0


def stop_if_over(session: OpenSession, *, look: bool = True) -> None:
    """Let nothing more happen in a run that is over its budget, if the user said so.

    Args:
        session: where something is about to happen.
        look: take in what is pending and add up; else trust what was found before.

    Raises:
        BudgetExceeded: it has spent more than it may.
    """
    try:
        allowed = session.budget
        if allowed is None or not allowed.stops or not session.sampled:
            return
        run = session.root_id, allowed
        if look and run not in _over:
            _look(session.root_id, allowed)
        if run in _over:
            _stop(_over[run])
    except Exception as error:  # noqa: BLE001 - the agent never notices anything else
        faults.report(error)


def _stop(what: str) -> NoReturn:
    raise BudgetExceeded(f"{what}: the run stops here. `pp.init(max_cost_usd=...)` sets another limit.")


def _look(root_id: str, allowed: Budget) -> None:
    """Take in what is pending and add up."""
    with suppress(PeekError, sqlite3.Error):  # locked by somebody for long: what is known has to do
        store.current().ingest(wait=_WAIT)
    try:
        cost, unpriced = spent(root_id)
    except (PeekError, sqlite3.Error):
        return
    if cost is not None and is_over(cost, allowed.max_cost_usd):
        note_over(root_id, allowed, in_words(cost, unpriced, allowed.max_cost_usd))


def note_over(root_id: str, allowed: Budget, what: str) -> None:
    """Remember that a run is over its budget."""
    _over.setdefault((root_id, allowed), what)


_over: dict[tuple[str, Budget], str] = {}
"""What was said of the runs of this process that are over their budget."""
