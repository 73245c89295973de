"""A process may die at any moment: what it was told is recorded is in the store, once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import peaky_peek as pp
from peaky_peek.store import Database
from peaky_peek.store.journal import segments
from tests.soak import Scenario, soak_kill
from tests.soak.soak_kill import ONE_SEGMENT, run_and_kill


@pytest.mark.parametrize("scenario", soak_kill.scenarios(), ids=lambda scenario: scenario.name)
def test_sigkill_at_any_moment_loses_and_doubles_nothing(scenario: Scenario) -> None:
    scenario.run(3)


def test_a_session_left_open_by_a_dead_process_is_interrupted_and_of_unknown_length(store: Database) -> None:
    run_and_kill(store, "paced", ONE_SEGMENT, 0.02)
    with pp.trace_session("alive"):
        session = pp.sessions().set_index("name")
        assert session.status.to_dict() == {"doomed": "interrupted", "alive": "running"}
        assert session.ended_at.isna().all()


def test_a_process_that_exits_normally_leaves_one_tidy_file(tmp_path: Path) -> None:
    code = "import peaky_peek as pp\nwith pp.trace_session('done') as ctx: ctx.record_decision('because')\n"
    path = tmp_path / "tidy.db"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PEAKY_PEEK_DB": str(path)})
    database = Database(path)
    assert segments(database.journal_folders[0]) == []
    assert database.connection().execute("SELECT name, status, events FROM sessions").fetchall() == [
        ("done", "completed", 3)
    ]
    database.close()


def test_a_forked_child_records_on_its_own(store: Database) -> None:
    with pp.trace_session("parent") as ctx:
        ctx.record_decision("before the fork")
        child = os.fork()
        if child == 0:
            try:
                ctx.record_decision("in the child")
                with pp.trace_session("child", new_session=True) as own:
                    own.record_decision("its own")
                pp.capture.recorder.close()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        ctx.record_decision("after the fork")
    frame = pp.events("parent", types="decision", data=True)
    assert sorted(data["reasoning"] for data in frame.data) == ["after the fork", "before the fork", "in the child"]
    assert frame.event_id.is_unique
    assert pp.sessions().set_index("name").status.to_dict() == {"parent": "completed", "child": "completed"}


def test_a_forked_child_does_not_end_what_its_parent_began(store: Database) -> None:
    child = -1
    try:
        with pp.trace_session("parent"), pp.trace_session("span"):
            child = os.fork()
            if child == 0:
                with pp.trace_session("in the child"):
                    pass
    finally:
        if child == 0:
            pp.uninstall()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    frame = pp.events("parent")
    ended = frame.name[frame.event_type == "agent_end"]
    assert sorted(ended) == ["in the child", "parent", "span"]


def test_a_session_that_nobody_ended_is_found_the_next_time(store: Database) -> None:
    run_and_kill(store, "paced", ONE_SEGMENT, 0.02)
    store.ingest()
    # two processes that each buried a segment of the dead one left the end to each other
    store.connection().execute("UPDATE sessions SET status = 'running'")
    run_and_kill(store, "paced", ONE_SEGMENT, 0.02)
    assert pp.sessions().status.tolist() == ["interrupted", "interrupted"]
