"""The notebook on several agents and on safety, where people meet it: the trail leads the other views."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.lab import Lab

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "06_multi_agent_and_safety.ipynb"


def test_the_notebook_on_safety_opens_runs_and_its_trail_leads_python(lab: Lab) -> None:
    lab.open(Path(shutil.copy(NOTEBOOK, lab.folder / "notebooks")))
    lab.run_all()
    lab.find("[data-view=timeline]", "team dinner").first.scroll_into_view_if_needed()
    lab.screenshot("timeline")
    lab.find("[data-view=conversation] article", "severe peanut allergy").first.wait_for()
    lab.screenshot("conversation")
    broken = lab.find("[data-view=safety] .pp-action[data-verdict=violated]", "send_mail").first
    broken.scroll_into_view_if_needed()
    lab.screenshot("safety")
    broken.click()
    lab.wait_for("safety.event.name", "'send_mail'")
    lab.wait_for("tree.event.name", "'send_mail'")
