"""The notebook on what keeps failing, where people meet it: the list of clusters leads the tree in the next cell."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.lab import Lab

ROOT = Path(__file__).parents[2]


def test_the_notebook_on_failures_opens_runs_and_its_list_leads_the_tree(lab: Lab) -> None:
    data = lab.folder / "tests" / "data"
    data.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "tests" / "data" / "tau_failures.jsonl.gz", data)
    lab.open(Path(shutil.copy(ROOT / "notebooks" / "04_failures.ipynb", lab.folder / "notebooks")))
    lab.run_all()
    clusters = lab.find("[data-view=clusters] .pp-cluster:not(.pp-labels)")
    clusters.first.wait_for()
    assert clusters.count() == 18  # two of nineteen were merged in the last cells
    lab.find("[data-view=clusters] .pp-cluster", "asks for seats").hover()
    lab.screenshot("failures")
    lab.find("[data-view=clusters] .pp-cluster", "asks for seats").click()
    lab.wait_for("len(found.selected)", "6")
    lab.wait_for("tree.selected == [event.id]", "True")
