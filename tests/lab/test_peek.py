"""`%%peek` where people meet it: one live line in JupyterLab that unfolds to the tree in place."""

from __future__ import annotations

from tests.lab.lab import Lab

SET_UP = """\
%load_ext peaky_peek
import os, time
import peaky_peek as pp

pp.init(db="{name}.db")

@pp.tool
def add(a, b):
    return a + b"""
RUNS = """\
%%peek sums
print("before")
for n in range(7):
    add(n, n)
while not os.path.exists("gate"):
    time.sleep(0.01)
print("after")
42"""


def test_the_line_lives_while_the_cell_runs_and_unfolds_where_it_stands(lab: Lab) -> None:
    lab.open(lab.write("line.ipynb", SET_UP.format(name="line"), RUNS))
    lab.command("notebook:run-all-cells")
    line = lab.find(".pp-title", "7 tool calls")
    line.wait_for()
    assert "running" in line.inner_text()
    (lab.folder / "notebooks" / "gate").touch()
    lab.find(".pp-title", "completed").wait_for()
    outputs = lab.find(".jp-OutputArea-child")
    lab.find(".jp-OutputArea-executeResult", "42").wait_for()
    assert [text for text in outputs.all_inner_texts() if text.strip()][-1].strip().endswith("42")
    assert not lab.find(".pp-canvas").is_visible()
    lab.screenshot("peek_folded")
    lab.find(".pp-title").click()
    lab.page.wait_for_function("document.querySelector('.pp-root')?.__peek.rowRect(7)")


def test_a_cell_that_raises_shows_its_tree_and_its_own_traceback(lab: Lab) -> None:
    lab.open(lab.write("raises.ipynb", SET_UP.format(name="raises"), "%%peek division\nadd(1, 1)\n1 / 0"))
    lab.command("notebook:run-all-cells")
    lab.find(".pp-title", "failed").wait_for()
    lab.page.wait_for_function("document.querySelector('.pp-root')?.__peek.rowRect(2)")
    assert lab.find(".jp-RenderedText", "ZeroDivisionError").count() == 1
