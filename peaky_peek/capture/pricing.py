"""What a model call costs, from a table made of the `genai-prices` package (see scripts/make_prices.py).

A price that is not known is None. It is never 0 and never a guess, so a sum of costs can say "at least".
"""

from __future__ import annotations

import functools
import math
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_own: dict[str, dict[str, Any]] = {}


def cost_usd(provider: str | None, model: str, usage: Mapping[str, int | None]) -> float | None:
    """Return what a call costs in US dollars, or None when model, price or token counts are not known.

    Args:
        provider: Who was asked ("openai", "anthropic", "azure" ...). None: whoever makes the model.
        model: Its name as sent or answered, dated (`gpt-4o-2024-08-06`) or prefixed (`openai:gpt-4o`) as it may be.
        usage: Counts of tokens: `input` (those read from and written to a cache included), `output` (reasoning
            included), and of these `cache_read`, `cache_write`, `reasoning`.

    Example:
        >>> cost_usd("openai", "gpt-4o-2024-08-06", {"input": 1_000_000, "output": 100_000, "cache_read": 400_000})
        3.0
    """
    prices = _own.get(model.lower()) or _listed(provider.lower().strip() if provider else None, model.lower())
    if not prices:
        return None
    if usage.get("input") is None or (usage.get("output") is None and "output" in prices):
        return None
    counts = {kind: usage.get(kind) or 0 for kind in ("input", "output", "cache_read", "cache_write", "reasoning")}
    input_tokens = counts["input"]
    for whole, *parts in (("input", "cache_read", "cache_write"), ("output", "reasoning")):
        # A part without a price of its own costs what the whole costs.
        counts[whole] -= sum(counts[part] for part in parts if part in prices)
        if counts[whole] < 0 or (counts[whole] and whole not in prices):
            return None
    cost = sum(count * _rate(prices[kind], input_tokens) for kind, count in counts.items() if kind in prices) / 1e6
    return float(cost + prices.get("request", 0) / 1000)


def dollars(usd: float) -> str:
    """Return an amount with as many digits as matter.

    >>> dollars(1.0), dollars(0.834), dollars(0.0123), dollars(0.0000042)
    ('$1.00', '$0.83', '$0.0123', '$0.0000042')
    """
    if usd >= 0.1 or usd <= 0:
        return f"${usd:,.2f}"
    return "$" + f"{usd:.{2 - math.floor(math.log10(usd))}f}".rstrip("0").ljust(4, "0")


def set_price(
    model: str,
    *,
    input: float,  # noqa: A002 - the word the usage is counted under
    output: float,
    cache_read: float | None = None,
    cache_write: float | None = None,
    reasoning: float | None = None,
) -> None:
    """Set what a model costs from now on, in US dollars per million tokens, for every provider of that name.

    What has no price of its own costs what input or output costs.
    """
    prices = {
        "input": input, "output": output, "cache_read": cache_read, "cache_write": cache_write, "reasoning": reasoning,
    }  # fmt: skip
    _own[model.lower()] = {kind: price for kind, price in prices.items() if price is not None}


def _rate(price: float | list[Any], input_tokens: int) -> float:
    """Return the price per million tokens; a tier holds for all tokens of a call once its input is longer."""
    if not isinstance(price, list):
        return price
    base, *tiers = price
    return float(next((rate for start, rate in reversed(tiers) if input_tokens > start), base))


def _listed(provider: str | None, model: str) -> dict[str, Any] | None:
    """Return the prices that hold now."""
    if not (conditional := _find(provider, model)):
        return None
    now = time.gmtime()
    date, clock = time.strftime("%Y-%m-%d", now), time.strftime("%H:%M", now)
    for prices in conditional[::-1]:
        start, end = prices.get("daily", ("00:00", "24:00"))
        is_time = start <= clock < end if start <= end else clock >= start or clock < end
        if is_time and prices.get("since", "") <= date:
            return prices
    return conditional[0]


@functools.cache
def _providers() -> dict[str, dict[str, Any]]:
    import orjson

    table = orjson.loads(Path(__file__).with_name("prices.json").read_bytes())
    return {provider["id"]: provider for provider in table["providers"]}


@functools.lru_cache(1024)
def _find(provider: str | None, model: str) -> list[dict[str, Any]] | None:
    """Return the prices of the first model whose rule matches."""
    for sellers, name in _readings(provider, model):
        for spelling in dict.fromkeys((name, _COMPACT_DATE.sub(r"-\1-\2-\3", name))):
            for seller in sellers:
                for rule, prices in seller["models"]:
                    if _matches(rule, spelling):
                        found: list[dict[str, Any]] = prices
                        return found
    return None


def _readings(provider: str | None, model: str) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Yield who may sell the model, and its name there: as it stands, then with a provider's name before it."""
    seller = _named(provider) if provider else next((p for p in _providers().values() if _sells(p, model)), None)
    if seller:
        yield _with_fallback(seller), model
    prefix = re.match(r"([\w.-]+)[:/](.+)", model)
    named = _named(prefix[1]) if prefix else None
    if prefix and named and (provider is None or seller in (None, named)):
        yield _with_fallback(named), prefix[2]


def _with_fallback(provider: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the provider, and those whose models it resells at their price."""
    return [provider, *(_providers()[other] for other in provider["fallback"] if other in _providers())]


def _named(name: str) -> dict[str, Any] | None:
    if exact := _providers().get(name):
        return exact
    return next((p for p in _providers().values() if p["ids"] and _matches(p["ids"], name)), None)


def _sells(provider: dict[str, Any], model: str) -> bool:
    return bool(provider["models_like"]) and _matches(provider["models_like"], model)


def _matches(rule: dict[str, Any], text: str) -> bool:
    ((kind, operand),) = rule.items()
    if kind == "or":
        return any(_matches(part, text) for part in operand)
    if kind == "and":
        return all(_matches(part, text) for part in operand)
    if kind == "regex":
        return re.search(operand, text) is not None
    operand = operand.lower()
    if kind == "equals":
        return bool(text == operand)
    if kind == "contains":
        return operand in text
    return bool(text.startswith(operand) if kind == "starts_with" else text.endswith(operand))
