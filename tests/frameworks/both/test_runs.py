"""What frameworks tell of by their own ids: where it belongs, whoever tells it."""

from __future__ import annotations

from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.store import Database
from tests.frameworks.trees import outline, tree


def test_what_begins_in_a_run_is_inside_it(store: Database) -> None:
    runs = Runs("ours")
    runs.agent("crew", "crew", input="Rome?")
    runs.agent("agent", "booker")
    runs.tool("tool", "search", {"to": "Rome"})
    runs.agent("helper", "helper")
    for run in ("helper", "tool", "agent"):
        runs.ended(run)
    runs.tool("last", "report", {})
    runs.ended("last", "sent")
    runs.ended("crew", "booked")
    assert outline(store) == tree("""
        session crew ours completed
          agent crew 'Rome?' -> 'booked'
            agent booker
              tool search {'to': 'Rome'}
                agent helper
            tool report {} -> 'sent'
    """)
