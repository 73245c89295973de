"""What child processes of the tests do; a module of its own, which they import in no time."""

from __future__ import annotations

from typing import Any

import peaky_peek as pp


@pp.tool
def add(a: int, b: int) -> int:
    return a + b


def add_in_a_child() -> int:
    result: int = add(1, b=2)
    return result


def spend(session: Any, *costs: float | None) -> None:
    for number, cost in enumerate(costs):
        session.record_llm_request("m", [{"role": "user", "content": f"Page {number}"}])
        session.record_llm_response("m", "Hello!", cost_usd=cost)


def spend_in_a_child(cost: float) -> None:
    with pp.trace_session("in the child", new_session=True) as ctx:
        spend(ctx, cost)


def ask_until_stopped(url: str) -> int:
    """Ask a model up to 9 times, and return how often before the budget stopped it."""
    import httpx

    with httpx.Client() as client:
        for number in range(9):
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
            try:
                client.post(f"{url}/chat/completions", json=body)
            except pp.BudgetExceeded:
                return number
    return 9


@pp.tool
def search(query: str) -> list[str]:
    return []


def search_in_a_child() -> str:
    """Search for the same until the run is stopped, and return what is said then."""
    while True:
        try:
            search("flights")
        except pp.LoopDetected as stop:
            return str(stop)
