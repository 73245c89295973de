"""The decision tree: what is clicked is a value in Python, and what is set in Python moves the picture."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comm
import numpy as np
import pandas as pd
import pytest
from comm.base_comm import BaseComm

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.errors import EventNotFound, PeekError, QueryError, SessionNotFound
from peaky_peek.events import AgentStart, ToolCall, ToolResult
from peaky_peek.store.database import Database
from peaky_peek.widgets import _base
from peaky_peek.widgets._session_widget import SET_IN_PYTHON
from peaky_peek.widgets.tree import DecisionTree
from tests.example_steps import example_events
from tests.recordings import Run


class Page(BaseComm):
    """The browser's end of a widget: keeps what it is sent, as strict JSON, and sends what users do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.said: list[tuple[dict[str, Any], list[bytes]]] = []
        self.state: dict[str, Any] = {}
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:
        data = json.loads(json.dumps(data or {}, allow_nan=False).encode())
        if data.get("method") == "custom":
            self.said.append((data["content"], buffers))
        self.state.update(data.get("state", {}))

    def ask(self, **request: Any) -> list[tuple[dict[str, Any], list[bytes]]]:
        """Send a request and return what was said in answer."""
        before = len(self.said)
        self.handle_msg({"content": {"data": {"method": "custom", "content": request}}, "buffers": []})
        return self.said[before:]

    def set(self, **state: Any) -> None:
        """Set synced state, as a click or a key does."""
        self.handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every widget of the test talks to a page."""
    monkeypatch.setattr(comm, "create_comm", Page)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    yield store.use(tmp_path / "peek.db")
    store.use(None)


@pytest.fixture
def run(db: Database) -> Run:
    run = Run("demo")
    run.events = sorted((event for step in example_events() for event in step), key=lambda event: event.position)
    run.save(db, name="refund_agent", status="failed", ended_at=run.start + 61_700_000)
    return run


def rows_in(mask: tuple[dict[str, Any], list[bytes]]) -> list[int]:
    message, buffers = mask
    assert message["type"] == "mask"
    return np.flatnonzero(np.frombuffer(buffers[0], "u1")).tolist()


def test_a_tree_says_what_it_shows_and_the_same_each_time(run):
    assert repr(DecisionTree("refund_agent")) == repr(DecisionTree()) == "DecisionTree(refund_agent, 9 steps, failed)"


def test_a_page_that_says_hello_is_sent_the_columns_and_the_filter(run):
    tree = DecisionTree()
    (columns, buffers), (mask, _) = tree.comm.ask(type="hello", version=1)
    assert (columns["type"], columns["rows"], len(buffers)) == ("columns", 9, 9)
    assert columns["title"]["facts"][0] == "9 steps"
    assert mask == {"type": "mask", "query": "", "count": 9, "active": False}


def test_nothing_but_view_state_is_synced_eagerly(run):
    state = DecisionTree().comm.state
    assert {"_rows", "_query", "_title", "_outline", "height"} <= state.keys()
    assert not tree_columns(state)


def tree_columns(state: dict[str, Any]) -> set[str]:
    return {"parent", "columns", "steps", "selected"} & state.keys()


def test_a_page_of_another_version_is_told_to_reload(run):
    [(error, _)] = DecisionTree().comm.ask(type="hello", version=99)
    assert error["type"] == "error"
    assert "reload the page" in error["message"]


def test_previews_details_and_whole_texts_come_when_asked(run):
    page = DecisionTree().comm
    [(previews, _)] = page.ask(type="previews", start=0, stop=1_000)
    assert previews["texts"][3] == "order=7, amount=125 → ✕ ValueError: more than was paid!"
    [(details, _)] = page.ask(type="details", row=6)
    [state] = [section for section in details["sections"] if section["title"] == "State"]
    cut = next(value for key, value in state["value"]["value"] if key == "log")
    [(more, _)] = page.ask(type="more", row=6, path=cut["path"])
    assert more["text"] == "line\n" * 2_000


@pytest.mark.parametrize(
    "request_",
    [
        {"type": "details", "row": 10_000},
        {"type": "details", "row": -1},
        {"type": "details"},
        {"type": "more", "row": 0, "path": ["no", "such"]},
        {"type": "no such type"},
        {},
    ],
)
def test_every_request_is_answered_even_one_that_makes_no_sense(run, request_):
    [(error, _)] = DecisionTree().comm.ask(**request_)
    assert error["type"] == "error"
    assert error["request"] == request_
    assert len(error["message"]) > 20


def test_a_fault_of_ours_is_answered_too_and_raised_in_strict_mode_only(run, monkeypatch):
    tree = DecisionTree()
    monkeypatch.setattr(tree._recording, "details", lambda row: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tree._receive(tree, {"type": "details", "row": 1}, [])
    assert tree.comm.said[-1][0]["type"] == "error"
    assert "ZeroDivisionError" in tree.comm.said[-1][0]["message"]


def test_what_is_clicked_is_selected_in_python(run):
    tree = DecisionTree()
    tree.comm.set(_rows=[3])
    assert tree.selected == ["event-04"]
    assert isinstance(tree.event, ToolCall)
    assert tree.event.arguments == {"order": 7, "amount": 125}


def test_a_frame_of_events_selects_their_steps(run):
    tree = DecisionTree()
    tree.selected = pp.events().query("failed")
    assert tree._rows == [3, 7]


def test_the_headline_says_how_good_the_run_was(run):
    pp.label(DecisionTree().session, outcome="wrong refund")
    assert DecisionTree()._title["facts"][0] == "outcome: wrong refund"


def test_the_selected_events_are_a_frame_with_both_events_of_each_step_and_their_data(run):
    tree = DecisionTree()
    tree.comm.set(_rows=[3, 6])
    frame = tree.selected_events
    assert frame["event_id"].tolist() == ["event-04", "event-05", "event-09"]
    assert frame["data"].iloc[1]["error"].startswith("ValueError")


def test_with_nothing_selected_the_frame_is_empty_and_has_its_columns(run):
    tree = DecisionTree()
    empty = tree.selected_events
    tree.comm.set(_rows=[0])
    assert empty.empty
    assert empty.dtypes.to_dict() == tree.selected_events.dtypes.to_dict()
    assert tree.event is not None
    tree.comm.set(_rows=[])
    assert tree.event is None


def test_what_is_selected_in_python_moves_the_picture(run):
    tree = DecisionTree()
    tree.selected = pd.Series(["event-05", "event-09"])
    assert tree.comm.state["_rows"] == [3, 6]
    assert tree.selected == ["event-05", "event-09"], (
        "what was set stays, though the step is known by its opening event"
    )
    assert isinstance(tree.event, ToolResult)
    tree.selected = tree.event
    assert tree.comm.state["_rows"] == [3]


def test_selecting_the_same_again_says_nothing(run):
    tree = DecisionTree()
    seen = []
    tree.observe(seen.append, "selected")
    tree.selected = ["event-04"]
    tree.selected = ["event-04"]
    tree.comm.set(_rows=[3])
    assert len(seen) == 1


def test_an_event_of_another_session_cannot_be_selected(run):
    tree = DecisionTree()
    with pytest.raises(EventNotFound, match="no event 'elsewhere'"):
        tree.selected = ["elsewhere"]
    assert tree.selected == []


def test_a_query_typed_in_the_page_filters_and_is_the_filter_in_python(run):
    tree = DecisionTree()
    tree.comm.set(_query="failed")
    assert rows_in(tree.comm.said[-1]) == [3, 7]
    assert tree.filter == "failed"


def test_a_query_that_cannot_be_read_is_answered_in_a_sentence_and_changes_nothing(run):
    tree = DecisionTree(filter="failed")
    tree.comm.set(_query="colour:red")
    message, _ = tree.comm.said[-1]
    assert message["type"] == "error"
    assert message["request"] == {"type": "filter", "query": "colour:red"}
    assert tree.filter == "failed"
    tree.comm.set(_query="failed")
    assert rows_in(tree.comm.said[-1]) == [3, 7]


def test_a_query_that_cannot_be_read_raises_in_python_and_changes_nothing(run):
    tree = DecisionTree(filter="failed")
    with pytest.raises(QueryError, match="colour"):
        tree.filter = "colour:red"
    assert tree.filter == tree.comm.state["_query"] == "failed"


@pytest.mark.parametrize(
    "wanted",
    [
        lambda steps: steps["failed"],
        lambda steps: steps["failed"].tolist(),
        [n in (3, 7) for n in range(9)],
        np.array([n in (3, 7) for n in range(9)]),
        pd.Series([n in (3, 7) or None for n in range(9)], dtype="boolean"),
    ],
    ids=["function", "function to list", "list", "array", "series"],
)
def test_a_mask_or_a_function_filters_too(run, wanted):
    tree = DecisionTree()
    tree.filter = wanted
    assert rows_in(tree.comm.said[-1]) == [3, 7]
    assert tree.filter is wanted
    assert tree.comm.state["_query"] == SET_IN_PYTHON
    tree.comm.set(_query="")
    assert tree.filter == ""
    assert tree.comm.said[-1][0]["active"] is False


def test_a_mask_over_the_events_filters_the_steps_they_belong_to(run):
    tree = DecisionTree()
    tree.filter = [event.id in ("event-05", "event-10") for event in run_events()]
    assert rows_in(tree.comm.said[-1]) == [3, 7]


def run_events() -> list[Any]:
    return sorted((event for step in example_events() for event in step), key=lambda event: event.position)


@pytest.mark.parametrize(("wanted", "message"), [([True], "has 1 values"), ([1.5] * 9, "boolean"), (5, "boolean")])
def test_a_filter_that_does_not_fit_raises_a_sentence(run, wanted, message):
    with pytest.raises(QueryError, match=message):
        DecisionTree().filter = wanted


def test_an_empty_store_says_how_to_begin(db):
    tree = DecisionTree()
    assert repr(tree) == "DecisionTree(nothing recorded yet)"
    assert tree.session is tree.event is None
    assert tree.selected_events.empty
    (columns, _), _ = tree.comm.ask(type="hello", version=1)
    assert columns["rows"] == 0
    assert "pp.trace" in columns["title"]["note"]
    assert "pp.trace" in tree._repr_mimebundle_()[0]["text/html"]


def test_an_unknown_session_raises(run):
    with pytest.raises(SessionNotFound, match="refund_agent"):
        DecisionTree("refund agnt")


def test_a_running_session_shows_what_is_there_and_more_when_refreshed(db):
    run = Run("live")
    root = run.add(AgentStart, "agent")
    call = run.add(ToolCall, "look", root)
    run.save(db, status="running")
    tree = DecisionTree("live")
    tree.selected = call
    assert len(tree._outline) == 2
    run.add(ToolResult, "look", call, result="seen")
    run.add(ToolCall, "look again", root)
    run.save(db, status="running")
    tree.refresh()
    assert tree.comm.said[-2][0]["rows"] == 3
    assert tree.selected == [call.id]
    [*_, answer] = tree.comm.ask(type="refresh")
    assert answer[0]["type"] == "mask"


def test_a_mask_is_lifted_when_the_session_has_outgrown_it_and_a_query_stays(db):
    run = Run("live")
    root = run.add(AgentStart, "agent")
    run.save(db, status="running")
    masked, queried = DecisionTree("live", filter=[True]), DecisionTree("live", filter="type:tool")
    run.add(ToolCall, "look", root)
    run.save(db, status="running")
    masked.refresh()
    queried.refresh()
    assert (masked.filter, masked.comm.state["_query"]) == ("", "")
    assert masked.comm.said[-1][0]["active"] is False
    assert rows_in(queried.comm.said[-1]) == [1]


def test_no_filter_is_none_or_nothing(run):
    tree = DecisionTree(filter="failed")
    tree.filter = None
    assert (tree.filter, tree.comm.state["_query"]) == ("", "")


def test_a_folded_tree_sends_no_columns_and_saves_a_folded_table(run):
    tree = DecisionTree(expanded=False)
    tree.refresh()
    assert not [message for message, _ in tree.comm.said if message["type"] == "columns"]
    assert "<details><summary>" in tree._repr_mimebundle_()[0]["text/html"]
    assert tree.comm.ask(type="hello", version=1)[0][0]["rows"] == 9


def test_another_session_can_be_shown_and_selection_and_mask_do_not_follow(run, db):
    other = Run("other")
    other.add(AgentStart, "agent")
    other.save(db)
    tree = DecisionTree("refund_agent")
    tree.selected = ["event-04"]
    tree.filter = [True] * 9
    tree.session = "other"
    assert tree.session.session_id == "other"
    assert (tree.selected, tree.filter) == ([], "")
    assert repr(tree) == "DecisionTree(other, 1 step, completed)"


def test_a_tree_is_itself_a_session_reference(run):
    assert DecisionTree(DecisionTree()).session.session_id == "demo"


def test_the_saved_output_has_the_live_view_a_table_and_a_line(run):
    tree = DecisionTree()
    data, _ = tree._repr_mimebundle_()
    again, _ = DecisionTree()._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == tree.model_id
    assert data["text/plain"] == repr(tree)
    assert "refund_agent" in data["text/html"]
    assert data["text/html"] == again["text/html"]


def test_requests_may_come_from_threads_while_a_cell_works_on_the_tree(run):
    tree = DecisionTree()

    def click() -> None:  # what it raises, pytest reports
        for row in range(9):
            tree.comm.ask(type="details", row=row)
            tree.comm.set(_rows=[row])

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for query in ["failed", "", "suspect", ""] * 5:
        tree.filter = query
    for thread in threads:
        thread.join()
    assert not [message for message, _ in tree.comm.said if message["type"] == "error"]


def test_a_missing_bundle_is_one_sentence(run, monkeypatch, tmp_path):
    monkeypatch.setattr(_base, "STATIC", tmp_path)

    class Unbuilt(_base.PeekWidget, bundle="unbuilt"):
        pass

    with pytest.raises(PeekError, match=r"unbuilt\.js was never built: .*npm run build"):
        Unbuilt()
