"""Has the run cost more than it may?"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from peaky_peek.capture import spending
from peaky_peek.capture.alerts import Alert
from peaky_peek.events import Event, LLMResponse


class CostBudget:
    """Adds up what a run costs, and alerts once, at the answer that crosses the limit.

    A call whose price is not known counts as nothing, and is said to.

    Args:
        max_cost_usd: what the run may cost.

    Example:
        >>> budget = CostBudget(1.0)
        >>> answers = [LLMResponse(id=f"{n}", session_id="s", position=n, name="m", cost_usd=0.6) for n in range(3)]
        >>> [[alert.signal for alert in budget.feed(answer)] for answer in answers]
        [[], ['$1.20 of $1.00 spent'], []]
    """

    types: Collection[str] = ("llm_response",)

    def __init__(self, max_cost_usd: float) -> None:
        self._most = max_cost_usd
        self._spent = 0.0
        self._unpriced = 0
        self._is_over = False

    def feed(self, event: Event) -> Iterable[Alert]:
        """Return an alert for the answer that crosses the limit."""
        if isinstance(event, LLMResponse) and not self._is_over:
            self._spent += event.cost_usd or 0.0
            self._unpriced += event.cost_usd is None and event.status != "error"
            self._is_over = spending.is_over(self._spent, self._most)
            if self._is_over:
                signal = spending.in_words(self._spent, self._unpriced, self._most)
                yield Alert("cost_budget", signal, severity="high", show=True)
