"""Runs as they happen in JupyterLab: the view grows, is read and answers while the cell that runs them is busy."""

from __future__ import annotations

from tests.lab.lab import Lab

SET_UP = """\
%load_ext peaky_peek
import os, time
import peaky_peek as pp

pp.init(db="{name}.db")

@pp.tool
def search(query):
    return []

def wait(gate):
    while not os.path.exists(gate):
        time.sleep(0.01)"""
LIVE = "view = pp.live()\nview"
RUNS = """\
with pp.trace_session("busy agent") as run:
    for _ in range(4):
        search("flights")
    run.record_llm_request("gpt-4o", [{"role": "user", "content": "And now?"}])
    wait("first-gate")
    run.record_llm_response("gpt-4o", "Go on.")
    search("trains")
    wait("second-gate")"""
CHOSEN = "view.event.name, view.session.status, view.session.name"
PEEK = """\
%%peek unfolds
search("one")
wait("third-gate")
search("two")
wait("fourth-gate")"""


def add(lab: Lab, cell: str) -> None:
    """Write another cell and run it."""
    lab.page.evaluate(
        """(source) => {
          const { content } = window.jupyterapp.shell.currentWidget;
          content.model.sharedModel.addCell({ cell_type: "code", source });
          content.activeCellIndex = content.widgets.length - 1;
        }""",
        cell,
    )
    lab.command("notebook:run-cell")


def gate(lab: Lab, name: str) -> None:
    (lab.folder / "notebooks" / name).touch()


def test_a_view_grows_and_answers_while_another_cell_is_busy(lab: Lab) -> None:
    lab.open(lab.write("live.ipynb", SET_UP.format(name="live"), LIVE))
    lab.run_all()
    lab.find(".pp-start", "Nothing is running").wait_for()
    lab.wait_for("len(view._views)", "1")
    add(lab, RUNS)
    lab.find(".pp-live-now", "gpt-4o").wait_for()
    assert lab.find(".pp-live-loop").inner_text() == "loop x4?"
    assert lab.find(".pp-live-alert").inner_text() == "loop x3: search with the same result"
    lab.page.wait_for_function("document.querySelector('.pp-root').__peek.visibleRows === 7")
    lab.screenshot("live")
    lab.find(".pp-live-alert").click()  # selects, by the subshell of the busy kernel
    lab.page.wait_for_function("document.querySelector('.pp-root').__peek.view.selectedRows.join() === '3'")
    gate(lab, "first-gate")
    lab.page.wait_for_function("document.querySelector('.pp-root').__peek.visibleRows === 8")
    assert lab.page.evaluate("document.querySelector('.pp-root').__peek.view.selectedRows.join()") == "3"
    gate(lab, "second-gate")
    lab.find(".pp-live-state", "The run has ended.").wait_for()
    assert lab.ask(CHOSEN) == "('search', 'completed', 'busy agent')"
    left = "[t.name for t in __import__('threading').enumerate() if t.name == 'peaky-peek-live']"
    lab.wait_for(left, "[]")


def test_the_line_of_a_cell_unfolds_to_the_growing_tree_while_it_runs(lab: Lab) -> None:
    lab.open(lab.write("peek_live.ipynb", SET_UP.format(name="peek_live"), PEEK))
    lab.command("notebook:run-all-cells")
    lab.find(".pp-title", "1 tool call").wait_for()
    lab.find(".pp-live-now", "unfolds").wait_for()
    lab.find(".pp-title", "1 tool call").click()
    lab.page.wait_for_function("document.querySelector('.pp-root').__peek.rowRect(1)")
    gate(lab, "third-gate")
    lab.page.wait_for_function("document.querySelector('.pp-root').__peek.rowRect(2)")
    gate(lab, "fourth-gate")
    lab.find(".pp-title", "completed").wait_for()
    lab.page.wait_for_function("document.querySelector('.pp-root').__peek.rowRect(2)")
    lab.find(".pp-live-state", "The run has ended.").wait_for()
