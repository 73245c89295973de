"""The outlines that the tests of the adapters read: every pair is a line, and what is wrong is seen."""

from __future__ import annotations

import peaky_peek as pp
from peaky_peek.store import Database
from tests.frameworks.trees import outline, tree


def test_an_outline_shows_pairs_failures_and_what_is_open(store: Database) -> None:
    with pp.trace_session("travel", input="Rome?") as ctx:
        ctx.record_decision("asked for", chosen_action="search")
        ctx.record_tool_call("search", {"to": "Rome"})
        ctx.record_tool_result("search", error="no such town\nreally")
        ctx.record_tool_call("book")
    assert outline(store) == tree("""
        session travel completed
          agent travel 'Rome?'
            decision search (own)
            tool search {'to': 'Rome'} !! no such town (error)
            tool book (open)
    """)
