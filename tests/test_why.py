"""The failure card in Python: what it says, what it hands out, and how it is reached."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import peaky_peek as pp
from peaky_peek import cli
from peaky_peek import store as stores
from peaky_peek.demo.stories import STORIES
from peaky_peek.errors import EventNotFound, SessionNotFound
from peaky_peek.events import AgentStart, ToolCall, ToolResult
from peaky_peek.store import Database
from peaky_peek.widgets import _why
from peaky_peek.widgets._recording import Recording
from tests.recordings import Run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    pp.demo(path)
    return path


@pytest.fixture
def demo(recorded: Path) -> Iterator[Database]:
    yield stores.use(recorded)
    stores.use(None)


def failing(name: str = "run") -> Run:
    """A run whose only call fails."""
    run = Run(name)
    agent = run.add(AgentStart, "agent")
    call = run.add(ToolCall, "charge", agent, tool_name="charge", arguments={"eur": 12.5})
    run.add(ToolResult, "charge", call, tool_name="charge", error="card declined")
    return run


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.key)
def test_the_card_names_the_mechanism_and_the_tool_or_model_at_fault(demo: Database, story: object) -> None:
    why = pp.why(story.session)
    first = why.frame.iloc[0]
    assert repr(why) == f"Why({story.session}, {story.mechanism}: {first['name']})"
    assert why._card["state"] == "answer"
    assert why.frame.equals(pp.causes(story.session))
    html = why._repr_mimebundle_()[0]["text/html"]
    assert story.mechanism in html
    assert "symptom" in html


def test_the_card_of_a_run_that_went_well_says_so_and_what_smells(demo: Database) -> None:
    passed = pp.sessions("outcome:pass suspect").iloc[-1]
    why = pp.why(passed)
    assert why._card["says"] == "All clear: no failures; 1 suspect."
    assert [event["name"] for event in why._card["events"]] == ["think"]
    assert len(why.frame) == 0
    monday = pp.why("salary request Monday")
    assert monday._card["says"] == "All clear: 3 failures on the way, and nothing came of them."
    assert repr(monday) == f"Why(salary request Monday, {monday._card['says'].rstrip('.')})"


def test_what_is_clicked_on_is_selected_in_the_other_views_too(demo: Database) -> None:
    why, tree = pp.why("refund order A-1042"), pp.tree("refund order A-1042")
    row = why._card["causes"][0]["because"][0]["row"]
    why._rows = [row]
    assert why.event.name == "issue_refund"
    assert tree.selected == why.selected
    tree.selected = why.frame["symptom_id"][0]
    assert why.selected == tree.selected


def test_an_event_is_explained_itself(demo: Database) -> None:
    events = pp.events("refund order A-1042")
    failed = events.loc[events["failed"], "event_id"].iloc[0]
    for why in (pp.why("refund order A-1042", event=failed), pp.why(pp.event(failed))):
        assert why._card["symptom"]["says"].startswith("failed: LookupError: no customer")
        assert why.frame["symptom_id"][0] == failed
    why.session = "team dinner"
    assert why._card["causes"][0]["mechanism"] == "lost handoff"
    with pytest.raises(EventNotFound, match="no event 'nowhere'"):
        pp.why("team dinner", event="nowhere")
    with pytest.raises(SessionNotFound, match="team dinner"):
        pp.why("team diner")


def test_the_card_of_a_session_grows_with_it(store: Database) -> None:
    run = Run("grows")
    run.add(AgentStart, "agent")
    run.save(store, status="running")
    why = pp.why("grows")
    assert why._card["says"] == "Still running, so far: no failures."
    run.add(ToolResult, "charge", None, tool_name="charge", error="declined")
    run.save(store, status="failed")
    why.refresh()
    assert why._card["state"] == "answer"


def test_a_failure_that_nothing_explains_says_what_is_missing(store: Database) -> None:
    run = Run("bare")
    run.add(AgentStart, "agent")
    why = pp.why(run.save(store, outcome="fail"))
    assert why._card["state"] == "unknown"
    assert any("pp.label" in what for what in why._card["missing"])
    assert repr(why) == "Why(bare, no cause found)"
    assert "pp.label" in why._repr_mimebundle_()[0]["text/html"]


def test_an_empty_store_says_how_to_begin(store: Database) -> None:
    why = pp.why()
    assert repr(why) == "Why(nothing recorded yet)"
    assert len(why.frame) == 0
    assert "nothing recorded yet" in why._repr_mimebundle_()[0]["text/html"].lower()


def test_a_card_of_what_was_deleted_says_so(store: Database) -> None:
    recording = Recording(store, failing().save(store))
    pp.delete("run")
    card = _why.card(recording)
    assert card["state"] == "not found"
    assert "No recorded session" in card["says"]


def test_any_view_answers_why(store: Database) -> None:
    tree = pp.tree(failing().save(store))
    [(whole, _)] = tree._answer({"type": "why"})
    assert whole["facts"]["causes"][0]["mechanism"] == "failed call"
    assert whole["request"] == {"type": "why"}
    [(step, _)] = tree._answer({"type": "why", "row": 1})
    assert step["facts"]["symptom"]["row"] == 1


def test_an_exported_page_of_any_view_has_the_card_inside(store: Database, tmp_path: Path) -> None:
    session = failing().save(store)
    for view in (pp.why(session), pp.tree(session)):
        page = view.to_html(tmp_path / "page.html").read_text()
        assert '"mechanism":"failed call"' in page


@pytest.mark.parametrize("width", [60, 120])
def test_the_command_line_says_why(
    demo: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert shutil.get_terminal_size().columns == width
    assert cli.main(["why", "refund order A-1042"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^1\. silent tool failure at issue_refund  \(high\)$", said, re.MULTILINE)
    assert "because  ■ issue_refund  answered {}: empty result" in said
    assert all(len(line) <= width for line in said.splitlines()[1:])
    assert cli.main(["why", "salary request Monday"]) == 0
    assert "All clear: 3 failures on the way" in capsys.readouterr().out
    assert cli.main(["why", "nobody"]) == 1
