"""What a run costs."""

from __future__ import annotations

from peaky_peek import store

_SUM = "SELECT sum(cost_usd), sum(unpriced) FROM sessions WHERE root_session_id = :root OR session_id = :root"


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
