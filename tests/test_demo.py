"""The demo: what it leaves behind, what it prints, and that every story is what it says it is."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import peaky_peek as pp
from peaky_peek import cli
from peaky_peek import store as stores
from peaky_peek.demo import model_server
from peaky_peek.demo.stories import STORIES
from peaky_peek.demo.table import TITLES, text
from peaky_peek.errors import PeekError

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.demo.story import Story

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """One demo for the tests that only look at it: where it is, and what `pp.demo()` returned."""
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    return path, pp.demo(path)


@pytest.fixture
def rows(recorded: tuple[Path, pd.DataFrame]) -> pd.DataFrame:
    """What `pp.demo()` returned; its store is in use."""
    path, frame = recorded
    stores.use(path)
    return frame


def payloads(session: str) -> list[tuple[str, Any]]:
    """Types and contents of a session's events, without what differs from run to run: ids, times and addresses."""
    events = pp.events(session, data=True)
    contents = [ID.sub("ID", json.dumps(data, default=str, sort_keys=True)) for data in events["data"]]
    unmeasured = [re.sub(r'"(duration_ms|time_to_first_token_ms)": [\d.e-]+', "TIME", content) for content in contents]
    return list(zip(events["event_type"], unmeasured, strict=True))


def test_every_story_is_there_and_ends_as_it_should(rows: pd.DataFrame) -> None:
    assert set(rows["story"]) == set(TITLES.values())
    ends = rows.set_index("session")[["status", "outcome"]].apply(tuple, axis=1)
    assert ends["find the slow deploy"][0] == "failed"
    assert ends["refund order A-1042"] == ("completed", "fail")
    assert ends["salary request Monday"] == ("completed", "pass")
    invoices = rows[rows["session"].str.startswith("book ")]
    assert invoices.groupby("version")["outcome"].apply(lambda each: (each == "pass").sum()).to_dict() == {
        "v1": 5,
        "v2": 2,
    }
    assert invoices.groupby("version").size().to_dict() == {"v1": 6, "v2": 6}
    real = rows[rows["story"].str.contains("tau")]
    assert real["outcome"].value_counts().to_dict() == {"pass": 2, "fail": 2}


def test_scripted_runs_have_tokens_and_a_price_and_recorded_ones_invent_none(rows: pd.DataFrame) -> None:
    real = rows["story"].str.contains("tau")
    assert (rows[~real]["tokens"] > 0).all()
    assert (rows[~real]["cost_usd"] > 0).all()
    assert rows[real]["tokens"].isna().all()
    assert rows[real]["cost_usd"].isna().all()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.key)
def test_a_story_has_its_cause_long_before_its_symptom_and_something_that_only_looks_guilty(
    rows: pd.DataFrame, story: Story
) -> None:
    events = pp.events(story.session, data=True)
    cause, symptom, distractor = (mark.find(events) for mark in (story.cause, story.symptom, story.distractor))
    assert len(events) >= 15
    assert symptom - cause >= 5
    assert distractor < symptom
    assert distractor != cause


def test_every_run_of_a_scripted_story_is_long_enough_to_get_lost_in(rows: pd.DataFrame) -> None:
    sessions = pp.sessions()
    assert (sessions["events"] >= 15).all(), sessions[["name", "events"]]


def test_the_failed_tool_says_ok_and_only_its_empty_result_gives_it_away(rows: pd.DataFrame) -> None:
    calls = pp.tool_calls("refund order A-1042").set_index("tool_name")
    assert calls.loc["issue_refund", "status"] == "ok"
    assert calls.loc["issue_refund", "suspect"] == "empty result"


def test_a_busy_model_shows_as_one_call_of_two_attempts(rows: pd.DataFrame) -> None:
    exchanges = "SELECT event_id, status FROM exchanges WHERE session_id = ? ORDER BY position, attempt"
    session_id = pp.session("trip to Lisbon").session_id
    found = stores.current().connection().execute(exchanges, (session_id,)).fetchall()
    retried = next(event_id for event_id, status in found if status == 429)
    assert [status for event_id, status in found if event_id == retried] == [429, 200]


def test_the_planner_and_the_critic_are_agents_of_their_own_inside_the_session(rows: pd.DataFrame) -> None:
    starts = pp.events("team dinner", types="agent_start")
    assert list(starts["agent"]) == ["team dinner", "planner", "critic", "planner", "critic"]


def test_a_second_recording_has_the_same_events_with_the_same_contents(rows: pd.DataFrame, tmp_path: Path) -> None:
    names = [story.session for story in STORIES]
    first = {name: payloads(name) for name in names}
    again = tmp_path / "again.db"
    pp.init(again)
    for story in STORIES:
        with model_server().client(story.key) as client:
            story.run(client)
    try:
        for name in names:
            assert payloads(name) == first[name]
    finally:
        pp.uninstall()


def test_the_demo_replaces_its_own_sessions_and_nothing_else(
    recorded: tuple[Path, pd.DataFrame], store: stores.Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pp.trace_session("mine"):
        pass
    mine = pp.sessions()
    path = tmp_path / "demo.db"
    with closing(sqlite3.connect(recorded[0])) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
    stores.use(path)
    with pp.trace_session("tried in the demo's store"):
        pass
    pp.label("refund order A-1042", outcome="fixed", tags=["mine now"])
    rows = pp.demo(path)
    kept = pp.sessions("-tag:peaky-peek-demo")
    assert list(kept["name"]) == ["refund order A-1042", "tried in the demo's store"]
    assert sorted(rows["session"]) == sorted(recorded[1]["session"])
    assert pp.events(pp.ALL)["event_id"].is_unique
    said = capsys.readouterr().out
    assert text(rows) in said
    assert f"In use now: {path}" in said.splitlines()[-1]
    stores.use(store.path)
    assert pp.sessions().equals(mine)


def test_the_demo_lives_in_the_data_folder_unless_told_otherwise() -> None:
    code = "import peaky_peek as pp; pp.demo(); print(len(pp.sessions()), pp.status()['store'])"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    last = result.stdout.splitlines()[-1]
    assert last == f"22 {Path(os.environ['XDG_DATA_HOME'], 'peaky_peek', 'demo.db')}"


def test_the_command_line_ends_with_a_command_that_shows_a_session(
    recorded: tuple[Path, pd.DataFrame], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("peaky_peek.demo.record", lambda db: recorded)
    assert cli.main(["demo"]) == 0
    said = capsys.readouterr().out
    assert text(recorded[1]) in said
    assert cli.main(shlex.split(said.splitlines()[-1].partition("jupyter peek ")[2])) == 0
    assert "issue_refund" in capsys.readouterr().out


def test_without_the_sdk_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PeekError, match=re.escape("pip install 'peaky-peek-jupyter[demo]'")):
        pp.demo()


def test_pp_demo_can_be_called_however_the_package_was_imported() -> None:
    code = "import peaky_peek as pp; import peaky_peek.demo; import peaky_peek.demo.script; print(callable(pp.demo))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "True"


def test_the_table_keeps_its_columns_aligned(rows: pd.DataFrame) -> None:
    heading, *lines = [line for line in text(rows).splitlines() if line.startswith("  ")]
    end = heading.index("  cost") + len("  cost")
    assert len(lines) == len(rows)
    assert all(re.fullmatch(r".*(\$\d+\.\d{4}|-)", line[:end]) for line in lines)
