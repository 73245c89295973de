"""The live view: only what is new is read and sent, runs of every process are followed, and nothing is left behind."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek import steps
from peaky_peek.errors import SessionNotFound
from peaky_peek.store import Database
from peaky_peek.store.connection import Connection
from peaky_peek.widgets import _wire
from peaky_peek.widgets._live import Following
from peaky_peek.widgets.live import LiveView
from tests.bridge import Bridge, Bridged

ROOT = Path(__file__).parent.parent
HELLO = {"type": "hello", "version": _wire.VERSION, "view": "page"}


@pytest.fixture(autouse=True)
def _nothing_left(store: Database) -> Iterator[None]:
    yield
    for view in views:
        view.close()
    views.clear()
    pp.uninstall()


views: list[LiveView] = []


def live(*args: Any, **options: Any) -> LiveView:
    """A view whose page is the test."""
    with Bridged():
        views.append(pp.live(*args, **options))
    said(views[-1])
    return views[-1]


def ask(view: LiveView, request: dict[str, Any]) -> list[dict[str, Any]]:
    """What the view answers to a message of its page."""
    bridge: Bridge = view.comm
    return contents(bridge.hear(json.dumps({"method": "custom", "content": request})))


def said(view: LiveView) -> list[dict[str, Any]]:
    """What the view told its page since."""
    return contents(view.comm.taken())


def contents(messages: str) -> list[dict[str, Any]]:
    return [one["data"]["content"] for one in json.loads(messages) if one["data"]["method"] == "custom"]


def facts(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """How the run stands, as last told."""
    return [one["facts"] for one in messages if one["type"] == "packed"][-1]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "peaky-peek-live"]


def over(view: LiveView) -> None:
    """Wait until the view looks no more by itself."""
    for thread in threads():
        thread.join(20)
    assert (threads(), view._thread) == ([], None)


@pp.tool
def search(query: str) -> list[str]:
    return []


# What is read.


@given(st.lists(st.sampled_from(["tool", "model", "nested", "agent", "error", "look"]), max_size=30))
@settings(max_examples=10, deadline=None)
def test_what_is_met_bit_by_bit_is_what_is_read_at_once(acts: list[str]) -> None:
    ctx = pp.start_session("run", session_id=os.urandom(6).hex())
    db = pp.store.current()
    db.ingest()
    following = Following(db, ctx.session_id)
    for act in acts:
        if act == "tool":
            search(act)
        elif act == "model":
            ctx.record_llm_request("gpt-4o", [{"role": "user", "content": "Hi"}])
            ctx.record_llm_response("gpt-4o", "Hello!", usage={"input_tokens": 3, "output_tokens": 2})
        elif act == "nested":
            with pp.trace_session("nested", new_session=True):
                search(act)
        elif act == "agent":
            with pp.trace_session("helper"):
                search(act)
        elif act == "error":
            ctx.record_error("ValueError", "no")
        else:
            following.news(wait=5.0)
    ctx.close()
    while not following.is_over:
        following.news(wait=5.0)
    whole = steps.steps(db, ctx.session_id or "")
    met = following.steps.set_index("event_id").loc[whole["event_id"]].reset_index()
    for name in whole.columns.drop("parent"):
        assert met[name].astype(object).fillna("-").tolist() == whole[name].astype(object).fillna("-").tolist(), name
    parents = dict(enumerate(following.steps["event_id"]))
    assert [parents.get(row) for row in met["parent"]] == [
        whole["event_id"].get(row) if row >= 0 else None for row in whole["parent"]
    ]
    assert following.title() == pp.tree(ctx.session_id)._title


def test_a_look_reads_only_what_is_new(store: Database) -> None:
    with pp.trace_session("long"):
        for number in range(300):
            search(f"page {number}")
        store.ingest()
        following = Following(store)
        search("one more")
        read: list[str] = []
        store.connection().set_trace_callback(read.append)
        news = following.news(wait=5.0)
        store.connection().set_trace_callback(None)
        assert [step["name"] for step in news.added] == ["search"]
        assert not news.changed
        assert not [sql for sql in read if "FROM events" in sql and "rowid >" not in sql and "max(rowid)" not in sql]


def test_an_event_that_comes_before_its_parent_has_all_read_again(store: Database) -> None:
    from tests.recordings import Run

    run = Run("odd")
    root = run.add(pp.capture.spans.AgentStart, "root")
    run.save(store, status="running")
    view = live("odd")
    ask(view, HELLO)
    child = run.add(pp.capture.spans.Error, "child", "late", id="child")
    run.save(store, status="running")
    view.follow()
    run.add(pp.capture.spans.AgentStart, "parent", root, id="late")
    run.save(store, status="running")
    view.follow()
    shown = view._recording.steps.set_index("event_id")
    assert shown.loc[child.id, "depth"] == 2
    assert [one["type"] for one in said(view)].count("columns") == 1


# What is told.


def test_a_page_is_told_of_new_steps_once_and_of_others_when_they_end(store: Database) -> None:
    ctx = pp.start_session("told")
    search("first")
    store.ingest()
    view = live()
    drawn = ask(view, HELLO)
    assert [one["type"] for one in drawn] == ["columns", "packed", "mask"]
    assert drawn[0]["rows"] == 2
    ctx.record_llm_request("gpt-4o", [{"role": "user", "content": "What now?"}])
    view.follow()
    first = facts(said(view))
    assert (first["rows"], first["now"]["text"]) == (3, "gpt-4o")
    assert first["open"][-1][1] >= 0
    ctx.record_llm_response("gpt-4o", "Go!", usage={"input_tokens": 3_000, "output_tokens": 10})
    ctx.record_llm_request("unheard-of", [{"role": "user", "content": "And now?"}])
    ctx.record_llm_response("unheard-of", "Stop!", usage={"input_tokens": 3, "output_tokens": 10})
    view.follow()
    second = facts(said(view))
    assert second["rows"] == 4
    assert second["cost"] == "at least $0.0076"
    assert second["now"]["text"] == "told"
    ctx.close()
    view.follow()
    last = facts(said(view))
    assert (last["status"], last["open"], last["now"]) == ("completed", [], None)
    assert repr(view).startswith("DecisionTree(told, 4 steps, completed")
    over(view)


def test_selection_and_filter_hold_while_the_tree_grows(store: Database) -> None:
    with pp.trace_session("grows"):
        search("needle")
        store.ingest()
        view = live(filter="needle")
        ask(view, HELLO)
        view.selected = view._recording.steps["event_id"][1]
        search("hay")
        search("needle")
        view.follow()
        view._filtered_at = 0.0
        search("needle again")
        view.follow()
        assert view._mask is not None
        assert view._mask.tolist() == [False, True, False, True, True]
        assert view._rows == [1]
        assert view.event is not None
        assert view.event.arguments == {"query": "needle"}
        assert view.selected_events["name"].tolist() == ["search", "search"]
        view.filter = ""
        assert view.filter == ""


def test_a_loop_is_asked_about_while_it_goes_on_and_recorded(store: Database) -> None:
    with pp.trace_session("circler"):
        search("flights")
        store.ingest()
        view = live()
        ask(view, HELLO)
        for _ in range(4):
            search("flights")
        pp.events()  # waits for the rules
        view.follow()
        told = facts(said(view))
        assert told["loop"]["text"] == "loop x5?"
        assert [alert["text"] for alert in told["alerts"]] == ["loop x3: search with the same result"]
        assert told["alerts"][0]["row"] == 3
        assert view.alerts == ["loop x3: search with the same result"]
        search("trains")
        view.follow()
        assert facts(said(view))["loop"] is None
    assert pp.alerts().recorded.tolist() == [True], "the rules watch what somebody looks at"


def test_a_folded_view_is_told_how_the_run_stands_and_no_steps(store: Database) -> None:
    with pp.trace_session("folded"):
        view = live(expanded=False)
        (told,) = ask(view, {"type": "look", "view": "page"})
        assert told["facts"]["status"] == "running"
        search("something")
        view.follow()
        (told,) = [one for one in json.loads(view.comm.taken()) if one["data"]["method"] == "custom"][-1:]
        assert told["data"]["content"]["facts"]["rows"] == 2
        assert told["buffers"][0] == "", "no rows"
        view.expanded = True
        assert ask(view, HELLO)[0]["rows"] == 2


# Which run.


def test_it_waits_for_a_run_and_says_so_and_goes_over_to_the_next_of_this_kernel() -> None:
    view = live()
    assert repr(view) == "LiveView(nothing recorded yet)"
    assert view._title["note"].startswith("Nothing is running: run an agent in another cell or process")
    assert "Nothing recorded yet" in view._title["note"]
    ask(view, HELLO)
    assert len(threads()) == 1
    with pp.trace_session("first"):
        search("x")
    wait_for(lambda: view.session is not None and view.session.name == "first" and not view.is_following)
    over(view)
    with pp.trace_session("second"):
        wait_for(lambda: view.session is not None and view.session.name == "second")
    over(view)


def test_of_several_runs_the_newest_is_shown_and_another_can_be_chosen() -> None:
    first = pp.start_session("first")
    pp.capture.context.CURRENT.set(None)
    second = pp.start_session("second")
    view = live()
    told = facts(ask(view, HELLO))
    assert [name for _, name in told["sessions"]] == ["second", "first"]
    assert told["session"] == second.session_id
    ask(view, {"type": "watch", "session": first.session_id})
    assert view.session is not None
    assert view.session.name == "first"
    second.close()
    wait_for(
        lambda: (
            facts(said(view) or [{"type": "packed", "facts": {"sessions": []}}])["sessions"]
            == [[first.session_id, "first"]]
        )
    )
    view.session = second
    assert view.session.status == "completed"
    first.close()


PROGRAM = """
import sys
import peaky_peek as pp

@pp.tool
def search(query):
    return []

with pp.trace_session("elsewhere"):
    for line in sys.stdin:
        search(line.strip())
        print("done", flush=True)
"""


@pytest.fixture
def program(store: Database) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PEAKY_PEEK_DB": str(store.path), "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, **pipes) as process:  # type: ignore[call-overload]
        yield process
        process.kill()


def tell(program: subprocess.Popen[str], text: str) -> None:
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(f"{text}\n")
    program.stdin.flush()
    assert program.stdout.readline() == "done\n"


def test_a_run_of_another_process_is_followed_until_it_is_killed(program: subprocess.Popen[str]) -> None:
    tell(program, "flights")
    view = live()
    drawn = ask(view, HELLO)
    assert view.session is not None
    assert (view.session.name, drawn[0]["rows"]) == ("elsewhere", 2)
    for _ in range(3):
        tell(program, "flights")
    wait_for(lambda: len(view._recording) == 5)
    assert view.alerts == ["loop x3: search with the same result"], "found here: nobody watches it there"
    program.send_signal(signal.SIGKILL)
    program.wait()
    over(view)
    assert view.session.status == "interrupted"
    assert not view._recording.steps["running"].any()
    assert repr(view) == "DecisionTree(elsewhere, 5 steps, interrupted)"
    assert pp.events(types="behavior_alert").empty, "a looker writes nothing into the run of another"


# What is left.


def test_it_looks_by_itself_only_while_a_page_shows_it() -> None:
    with pp.trace_session("seen"):
        view = live()
        assert threads() == []
        ask(view, HELLO)
        ask(view, HELLO | {"view": "other"})
        assert len(threads()) == 1
        ask(view, {"type": "bye", "view": "page"})
        assert len(threads()) == 1
        ask(view, {"type": "bye", "view": "other"})
        over(view)


def test_a_page_that_is_not_heard_while_a_cell_runs_is_told_all_the_same() -> None:
    with pp.trace_session("unheard"):
        view = live(expanded=False)
        view._repr_mimebundle_()
        heard: list[dict[str, Any]] = []
        wait_for(lambda: heard.extend(said(view)) or any(one["type"] == "columns" for one in heard))
        search("something")
        wait_for(lambda: heard.extend(said(view)) or facts(heard)["rows"] == 2)
        ask(view, {"type": "look", "view": "page"})
        assert view._views == {"page"}
    view.follow()
    over(view)


def test_closing_it_leaves_neither_thread_nor_connection_nor_comm(program: subprocess.Popen[str]) -> None:
    tell(program, "flights")
    view = live()
    before = connections()
    ask(view, HELLO)
    wait_for(lambda: connections() > before)
    view.close()
    assert threads() == []
    assert view.comm is None
    assert connections() == before


def test_a_view_of_a_run_that_is_over_is_its_tree() -> None:
    with pp.trace_session("past"):
        search("x")
    view = live("past")
    ask(view, HELLO)
    assert threads() == []
    assert repr(view) == "DecisionTree(past, 2 steps, completed)"
    view.refresh()
    assert [one["type"] for one in said(view)] == ["columns", "packed", "mask", "packed"]


def wait_for(test: Callable[[], Any]) -> None:
    """Wait until something is so that another thread or process does."""
    done = threading.Event()
    for _ in range(2_000):
        if test():
            return
        done.wait(0.01)
    raise AssertionError("it never became so")


def connections() -> int:
    """How many connections are open in this process."""
    return sum(map(is_open, filter(lambda one: issubclass(type(one), Connection), gc.get_objects())))


def is_open(connection: Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


def test_the_page_about_it_is_true(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/live.md").read_text(), re.DOTALL | re.MULTILINE)
    environment = os.environ | {"PEAKY_PEEK_DB": str(tmp_path / "page.db"), "PYTHONPATH": str(ROOT)}
    code = "\n".join(blocks)
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_run_that_does_not_exist_is_said_once_and_leaves_no_half_of_a_view(store: Database) -> None:
    with pytest.raises(SessionNotFound):
        pp.live("nobody")
    gc.collect()  # what is raised in there would fail the test: warnings are errors


def test_an_agent_that_begins_does_not_wait_for_a_view_that_is_busy() -> None:
    with pp.trace_session("first"):
        pass
    view = live()
    ask(view, HELLO)
    ended = threading.Event()

    def agent() -> None:
        with pp.trace_session("second"):
            ended.set()

    thread = threading.Thread(target=agent)
    with view._lock:  # as while it reads a large run in another thread of the kernel's
        thread.start()
        assert ended.wait(20)
    thread.join()
