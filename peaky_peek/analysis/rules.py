"""Which rules watch a run, while it runs and afterwards."""

from __future__ import annotations

from peaky_peek.analysis.budget import CostBudget
from peaky_peek.analysis.failing import Failing
from peaky_peek.analysis.loops import Loops
from peaky_peek.analysis.slow import Slow
from peaky_peek.capture.alerts import Rule
from peaky_peek.capture.context import Limits


def rules(limits: Limits | None = None) -> list[Rule]:
    """Return fresh rules for one run.

    Args:
        limits: what it may do, if that is limited.
    """
    limits = limits or Limits()
    budget = [] if limits.max_cost_usd is None else [CostBudget(limits.max_cost_usd)]
    return [*budget, Loops(stops="loop" in limits.stop_on), Failing(), Slow()]
