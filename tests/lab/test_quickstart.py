"""The first notebook that people open."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.lab import Lab

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"


def test_the_quickstart_opens_runs_and_shows_its_trees(lab: Lab) -> None:
    lab.open(Path(shutil.copy(QUICKSTART, lab.folder / "notebooks")))
    lab.run_all()
    lab.find(".pp-root", "1 failed").first.scroll_into_view_if_needed()
    lab.page.wait_for_function("document.querySelector('.pp-root').__peek.rowRect(0)")
