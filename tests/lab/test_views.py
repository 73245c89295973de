"""Every view in one notebook of JupyterLab: they draw, move together, turn dark, and leave when they are closed."""

from __future__ import annotations

import pytest

from peaky_peek.exporter import VIEWS
from tests.lab.lab import Lab

RECORD = """\
%load_ext peaky_peek
import threading
import peaky_peek as pp

pp.init(db="views.db")

with pp.trace_session("support_agent") as ctx:
    ctx.record_llm_request("gpt-5-mini", [{"role": "user", "content": "Refund order 7."}])
    ctx.record_llm_response("gpt-5-mini", content=None, tool_calls=[{"name": "refund", "arguments": {"order": 7}}])
    ctx.record_decision(reasoning="It arrived broken.", confidence=0.8, chosen_action="refund", alternatives=["ask"])
    ctx.record_tool_call("refund", {"order": 7})
    failed = ctx.record_tool_result("refund", error="the gateway timed out")
    ctx.checkpoint({"refunded": False}, label="after refund")
    ctx.record_safety_check("limits", "block", "high", "over the limit", blocked_action="refund")
views = {}"""
SHOW = "views[{name!r}] = pp.{name}()\nviews[{name!r}]"
HELD = """\
def held():
    from comm import get_comm_manager
    from ipywidgets.widgets.widget import _instances
    comms = [type(_instances.get(one)).__name__ for one in get_comm_manager().comms]
    return sorted(comms), sorted(one.name for one in threading.enumerate() if one.name.startswith("peaky"))

before = held()"""


@pytest.fixture
def views(lab: Lab) -> Lab:
    """A notebook with a cell for each view, all drawn."""
    path = lab.write("views.ipynb", RECORD, HELD, *(SHOW.format(name=name) for name in VIEWS))
    lab.open(path)
    lab.run_all()
    for at in range(len(VIEWS)):
        root = lab.find(".pp-root").nth(at)
        root.scroll_into_view_if_needed()
        lab.page.wait_for_function(
            "root => root.__peek && root.__peek.firstPaintMs !== null", arg=root.element_handle(), timeout=20_000
        )
    return lab


def test_all_views_move_together_and_leave_nothing_behind(views: Lab) -> None:
    lab = views
    names = [name for name in VIEWS if lab.ask(f"views[{name!r}]._links() != ()") == "True"]
    lab.ask("None", code=f"views[{names[-1]!r}].selected = failed")
    for name in names:
        lab.wait_for(f"views[{name!r}].selected == [failed.id]", "True")
    lab.theme("dark")
    lab.screenshot("views-dark")
    lab.theme("light")
    lab.ask("None", code="for view in views.values(): view.close()")
    lab.page.wait_for_function("document.querySelectorAll('.pp-root').length === 0")
    lab.wait_for("held()", lab.ask("before"))
