"""Which rules watch a run, while it runs and afterwards."""

from __future__ import annotations

from peaky_peek.analysis.budget import CostBudget
from peaky_peek.capture.alerts import Rule


def rules(max_cost_usd: float | None = None) -> list[Rule]:
    """Return fresh rules for one run.

    Args:
        max_cost_usd: what it may cost, if that is limited.
    """
    return [] if max_cost_usd is None else [CostBudget(max_cost_usd)]
