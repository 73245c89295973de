"""The tree where people meet it: in a cell of JupyterLab, beside the Python that it shares its selection with."""

from __future__ import annotations

import json
from pathlib import Path

from tests.lab.lab import Lab

SET_UP = """\
%load_ext peaky_peek
import peaky_peek as pp

pp.init(db="{name}.db")"""
RECORD = """\
@pp.tool
def weather_api(city):
    raise ConnectionError("the service is down")


with pp.trace_session("weather_agent") as ctx:
    ctx.record_decision(reasoning="The user asks about Paris.", confidence=0.9, chosen_action="weather_api")
    try:
        weather_api("Paris")
    except ConnectionError:
        ctx.record_decision(reasoning="There is no data: I say so.", confidence=0.4, chosen_action="apologise")"""
CHOICE, TOOL = 1, 2  # the rows of its tree; row 0 is the session
HOSTILE = """\
with pp.trace_session("<script>window.hurt = 1</script>") as ctx:
    for text in (
        "<img src=x onerror='window.hurt = 1'>",
        "\\x1b[31mred",
        "\\u202egnp.exe",
        "a\\0b",
        "\\ud800",
        "</script><script>window.hurt = 1</script>",
    ):
        ctx.record_tool_call(text, {text: text})
        ctx.record_tool_result(text, result=text)
    ctx.record_llm_request("m", [{"role": "user", "content": "<b onclick='window.hurt = 1'>" + "x" * 10_000_000}])"""
SHOW = "tree = pp.tree()\ntree"


def run(lab: Lab, name: str, record: str = RECORD) -> Path:
    """Write, open and run a notebook that records something and shows its tree."""
    path = lab.write(f"{name}.ipynb", SET_UP.format(name=name), record, SHOW)
    lab.open(path)
    lab.run_all()
    drawn(lab)
    return path


def drawn(lab: Lab) -> None:
    lab.page.wait_for_function("document.querySelector('.pp-root')?.__peek.rowRect(0)")


def click(lab: Lab, row: int, times: int = 1) -> None:
    x, y, width, height = lab.page.evaluate(
        """(row) => {
          const { x, y, width, height } = document.querySelector(".pp-root").__peek.rowRect(row);
          return [x, y, width, height];
        }""",
        row,
    )
    lab.page.mouse.click(x + width / 4, y + height / 2, click_count=times)


def test_a_clicked_step_is_a_frame_in_the_next_cell(lab: Lab) -> None:
    run(lab, "click")
    click(lab, TOOL)
    lab.wait_for("tree.selected_events.event_type.tolist()", "['tool_call', 'tool_result']")
    assert "Paris" in lab.ask("tree.selected_events.data.tolist()")
    assert "the service is down" in lab.ask("tree.selected_events.data.tolist()")


def test_a_step_selected_in_python_is_selected_in_the_page(lab: Lab) -> None:
    run(lab, "select")
    lab.ask("None", code="tree.selected = pp.decisions().event_id.iloc[-1:].tolist()")
    lab.find(".pp-reader[aria-selected=true]", "apologise").wait_for(state="attached")


def test_a_step_can_be_read_in_the_light_and_in_the_dark(lab: Lab) -> None:
    run(lab, "read")
    click(lab, CHOICE, times=2)
    lab.find(".pp-inspector", "The user asks about Paris.").wait_for()
    lab.screenshot("tree-light")
    lab.theme("dark")
    lab.page.wait_for_function(
        """() => {
          const canvas = document.querySelector(".pp-root canvas");
          const corner = canvas.getContext("2d").getImageData(canvas.width - 2, canvas.height - 2, 1, 1);
          return corner.data[0] + corner.data[1] + corner.data[2] < 200;
        }"""
    )
    lab.screenshot("tree-dark")
    lab.theme("light")


def test_a_saved_notebook_shows_the_run_again_without_being_run(lab: Lab) -> None:
    path = run(lab, "saved")
    lab.save()
    lab.open(path)
    lab.find(".pp-root", "showing the saved outline").wait_for()
    drawn(lab)


def test_a_saved_notebook_shows_the_run_where_no_kernel_can_start(lab: Lab) -> None:
    path = run(lab, "alone")
    lab.save()
    notebook = json.loads(path.read_text())
    path.write_text(json.dumps(notebook | {"metadata": {}}))  # which kernel it wants is written there
    lab.show(path)
    lab.page.get_by_role("dialog").get_by_role("button", name="No Kernel").click()
    lab.find(".jp-OutputArea-output", "weather_api").first.wait_for()


def test_hostile_text_is_shown_and_does_nothing(lab: Lab) -> None:
    path = run(lab, "hostile", HOSTILE)
    for row in range(1, 8):
        click(lab, row, times=2)
        lab.find(".pp-content:not(.pp-loading) .pp-step").wait_for()
    lab.save()
    lab.open(path)
    lab.find(".pp-root", "showing the saved outline").wait_for()
    drawn(lab)
    assert lab.page.evaluate("window.hurt") is None
