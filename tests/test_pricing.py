"""Costs agree with the package the price table is made of, and what is not known stays unknown."""

from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys

import genai_prices
import pytest

from peaky_peek.capture import pricing
from peaky_peek.capture.pricing import cost_usd, set_price

USAGES = [
    {"input": 1_000, "output": 200},
    {"input": 10_000, "output": 500, "cache_read": 8_000},
    {"input": 10_000, "output": 500, "cache_read": 1_000, "cache_write": 4_000},
    {"input": 300_000, "output": 500, "cache_read": 10_000},
    {"input": 1_500_000, "output": 70_000},
]


def reference(provider, model, usage):
    """What genai-prices says, or None where it does not know."""
    counts = genai_prices.Usage(
        input_tokens=usage["input"],
        output_tokens=usage["output"],
        cache_read_tokens=usage.get("cache_read"),
        cache_write_tokens=usage.get("cache_write"),
        output_reasoning_tokens=usage.get("reasoning"),
    )
    try:
        price = genai_prices.calc_price(counts, model, provider_id=provider)
    except (LookupError, ValueError):
        return None
    return float(price.total_price)


def test_every_model_of_every_provider_costs_what_genai_prices_says():
    from genai_prices.data import providers

    compared = 0
    for provider in providers:
        for model in provider.models:
            for usage in USAGES:
                expected = reference(provider.id, model.id, usage)
                found = cost_usd(provider.id, model.id, usage)
                if expected is None or not is_priced_whole(provider.id, model.id):
                    continue
                assert found == pytest.approx(expected, rel=1e-9), (provider.id, model.id, usage)
                compared += 1
    assert compared > 8_000


def is_priced_whole(provider, model):
    """Whether both sides of a call have a price: where one has none, genai-prices leaves it out, and we say None."""
    price = genai_prices.calc_price(genai_prices.Usage(input_tokens=1, output_tokens=1), model, provider_id=provider)
    return {"input_mtok", "output_mtok"} <= vars(price.model_price).keys()


@pytest.mark.parametrize(
    ("provider", "model", "plain"),
    [
        (None, "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        (None, "openai:gpt-4o", "gpt-4o"),
        (None, "openai/gpt-4o-mini", "gpt-4o-mini"),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("azure", "gpt-4o", "gpt-4o"),
        (None, "GPT-4o", "gpt-4o"),
        (None, "claude-3-7-sonnet-20250219", "claude-3-7-sonnet-latest"),
        ("anthropic", "claude-3-5-haiku-20241022", "claude-3-5-haiku-latest"),
        (None, "anthropic:claude-3-7-sonnet-latest", "claude-3-7-sonnet-latest"),
        (None, "models/gemini-2.0-flash", "gemini-2.0-flash"),
        ("litellm", "openai/gpt-4o", "gpt-4o"),
    ],
)
def test_dated_and_prefixed_names_are_the_model_they_name(provider, model, plain):
    usage = {"input": 10_000, "output": 1_000, "cache_read": 4_000}
    cost = cost_usd(provider, model, usage)
    assert cost
    assert cost == cost_usd(None, plain, usage)


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("openai", "no-such-model", {"input": 1, "output": 1}),
        ("my own gateway", "gpt-4o", {"input": 1, "output": 1}),
        (None, "llama-on-my-laptop", {"input": 1, "output": 1}),
        (None, "", {"input": 1, "output": 1}),
        ("openai", "gpt-4o", {}),
        ("openai", "gpt-4o", {"input": None, "output": 5}),
        ("openai", "gpt-4o", {"input": 5}),
        ("openai", "gpt-4o", {"input": 5, "output": 5, "cache_read": 10}),
    ],
)
def test_what_is_not_known_is_none_and_never_zero(provider, model, usage):
    assert cost_usd(provider, model, usage) is None


def test_an_embedding_has_no_output_to_pay():
    assert cost_usd("openai", "text-embedding-3-small", {"input": 1_000_000}) == pytest.approx(0.02)


def test_no_tokens_cost_nothing():
    assert cost_usd("openai", "gpt-4o", {"input": 0, "output": 0}) == 0


def test_a_price_of_ones_own_wins(monkeypatch):
    monkeypatch.setattr(pricing, "_own", {})
    set_price("My-Model", input=1.0, output=2.0, cache_read=0.1)
    usage = {"input": 1_000_000, "output": 1_000_000, "cache_read": 500_000}
    assert cost_usd("anyone", "my-model", usage) == pytest.approx(0.5 + 0.05 + 2.0)
    set_price("gpt-4o", input=0, output=0)
    assert cost_usd("openai", "gpt-4o", usage) == 0


def test_prices_follow_the_hour_and_the_date(monkeypatch):
    prices = [{"input": 1.0}, {"input": 2.0, "daily": ["22:00", "06:00"]}, {"input": 9.0, "since": "2030-01-01"}]
    monkeypatch.setattr(pricing, "_find", lambda provider, model: prices)
    for text, expected in (("2026-05-01T12:00", 1.0), ("2026-05-01T23:30", 2.0), ("2031-01-01T00:00", 9.0)):
        moment = dt.datetime.fromisoformat(text).timetuple()
        monkeypatch.setattr(pricing.time, "gmtime", lambda moment=moment: moment)
        assert math.isclose(cost_usd(None, "any", {"input": 1_000_000}), expected)


def test_the_table_is_read_when_the_first_price_is_asked_for():
    code = (
        "import sys; from peaky_peek.capture import pricing; assert not pricing._providers.cache_info().currsize;"
        "assert pricing.cost_usd(None, 'gpt-4o', {'input': 1, 'output': 1}); assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
