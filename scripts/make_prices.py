# ruff: noqa: INP001
"""Write `peaky_peek/capture/prices.json`: what model providers charge, from the `genai-prices` package.

Run it with a newer `genai-prices` installed to renew the table: python scripts/make_prices.py
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

PATH = Path(__file__).parent.parent / "peaky_peek" / "capture" / "prices.json"
KINDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "output_reasoning_mtok": "reasoning",
    "requests_kcount": "request",
}


def main() -> None:
    """Write the table, one model a line, so that a renewed one can be reviewed."""
    today = dt.datetime.now(dt.UTC).date()
    lines = [f'{{"source":"genai-prices {importlib.metadata.version("genai-prices")}","date":"{today}","providers":[']
    for number, provider in enumerate(providers):
        head = {"id": provider.id, "ids": clause(provider.provider_match), "models_like": clause(provider.model_match)}
        head["fallback"] = provider.fallback_model_providers or []
        lines.append(("," if number else "") + dump(head)[:-1] + ',"models":[')
        models = [dump([clause(model.match), prices(model, today)]) for model in provider.models]
        lines += [line + "," for line in models[:-1]] + models[-1:] + ["]}"]
    PATH.write_text("\n".join([*lines, "]}"]) + "\n")


def dump(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"))


def clause(match: Any) -> dict[str, Any] | None:
    """A rule as {kind: operand}."""
    if match is None:
        return None
    ((name, operand),) = vars(match).items()
    name = name.rstrip("_")
    return {name: [clause(part) for part in operand] if isinstance(operand, list) else operand}


def prices(model: types.ModelInfo, today: dt.date) -> list[dict[str, Any]]:
    """The model's prices from today on: the last one whose condition holds applies, else the first."""
    conditional = model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
    found: list[dict[str, Any]] = []
    for entry in conditional:
        known = vars(entry.prices)
        price = {kind: number(known[key]) for key, kind in KINDS.items() if known.get(key) is not None}
        if isinstance(entry.constraint, types.TimeOfDateConstraint):
            price["daily"] = [f"{entry.constraint.start_time:%H:%M}", f"{entry.constraint.end_time:%H:%M}"]
        elif isinstance(entry.constraint, types.StartDateConstraint) and entry.constraint.start_date > today:
            price["since"] = entry.constraint.start_date.isoformat()
        elif entry.constraint is not None:
            found = []  # in force already: what came before is history
        found.append(price)
    return found


def number(price: Any) -> Any:
    """US dollars for a million tokens; with tiers [base, [more input tokens than this, price], ...]."""
    if isinstance(price, types.TieredPrices):
        return [float(price.base), *([tier.start, float(tier.price)] for tier in price.tiers)]
    return float(price)


if __name__ == "__main__":
    main()
