"""What a user may write where a session is meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.errors import PeekError, QueryError, SessionNotFound
from peaky_peek.events import AgentStart, Error, LLMResponse
from peaky_peek.store import Database, reader, sessions
from peaky_peek.store.sessions import resolve, resolve_many
from tests.recordings import Run


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    yield store.use(tmp_path / "peek.db")
    store.use(None)


@pytest.fixture
def db(empty: Database) -> Database:
    """Four sessions, oldest first: two called weather, one booking with one nested in it."""
    for session_id, fields in [
        ("0190-aaaa-1111", {"name": "weather"}),
        ("0190-bbbb-2222", {"name": "weather", "outcome": "fail"}),
        ("0190-cccc-3333", {"name": "booking"}),
        ("0190-dddd-4444", {"name": "payment", "parent_session_id": "0190-cccc-3333"}),
    ]:
        run = Run(session_id)
        run.add(AgentStart, "agent")
        run.save(empty, **fields)
    return empty


FIRST, SECOND, BOOKING, NESTED = "0190-aaaa-1111", "0190-bbbb-2222", "0190-cccc-3333", "0190-dddd-4444"


@pytest.mark.parametrize(
    ("ref", "meant"),
    [
        (FIRST, FIRST),
        ("booking", BOOKING),
        ("weather", SECOND),
        ("0190-a", FIRST),
        ("4444", NESTED),
        (0, FIRST),
        (-1, NESTED),
        (-4, FIRST),
        (np.int64(1), SECOND),
        (None, BOOKING),
    ],
)
def test_text_and_positions_and_nothing_mean_a_session(db: Database, ref: Any, meant: str) -> None:
    assert resolve(ref, db) == meant


def test_everything_that_belongs_to_a_session_means_it(db: Database) -> None:
    session = reader.read_session(db, SECOND)
    (event,) = reader.read_events(db, SECOND)
    row = pp.sessions().iloc[1]
    widget = SimpleNamespace(session=session)
    for ref in (session, event, row, widget, next(pp.sessions().iloc[1:2].itertuples())):
        assert resolve(ref, db) == SECOND


def test_nothing_means_the_newest_root_session_that_this_process_started(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "started", [])
    for session_id in (FIRST, SECOND, NESTED, "of another store"):
        sessions.started.append(session_id)
    assert resolve(None, db) == SECOND


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("wether", "No recorded session is called 'wether': the closest is 'weather'."),
        ("zzzzz", "`pp.sessions()` lists them"),
        ("0190", "Several sessions begin or end with '0190'"),
        (4, "There is no session at position 4: the store holds 4 (0 to 3)."),
        (-5, "There is no session at position -5"),
        (10**30, "There is no session at position"),
        (3.5, "A float does not name a session"),
        ("%", "No recorded session is called '%'"),
        ("\ud800", "No recorded session is called"),
    ],
)
def test_what_means_no_session_is_said_with_the_closest(db: Database, ref: Any, says: str) -> None:
    with pytest.raises(SessionNotFound) as caught:
        resolve(ref, db)
    assert says in str(caught.value)
    assert isinstance(caught.value, PeekError)


def test_several_sessions_are_a_list_a_frame_a_mask_a_query_or_all(db: Database) -> None:
    frame = pp.sessions()
    assert resolve_many(["booking", 0, "booking"], db) == [BOOKING, FIRST]
    assert resolve_many(frame[frame["name"] == "weather"], db) == [FIRST, SECOND]
    assert resolve_many(frame["name"] == "weather", db) == [FIRST, SECOND]
    assert resolve_many([False, False, False, True], db) == [NESTED]
    assert resolve_many(frame["session_id"], db) == [FIRST, SECOND, BOOKING, NESTED]
    assert resolve_many(frame.iloc[2], db) == [BOOKING]
    assert resolve_many("name:weather -outcome:fail", db) == [FIRST]
    assert resolve_many("outcome:pass", db) == []
    assert resolve_many(pp.ALL, db) == [FIRST, SECOND, BOOKING, NESTED]
    assert resolve_many("weather", db) == [SECOND]
    assert resolve_many(None, db) == [BOOKING]
    assert resolve_many([], db) == []


def test_words_that_name_no_session_are_no_query(db: Database) -> None:
    with pytest.raises(SessionNotFound, match="the closest is 'weather'"):
        resolve_many("wether", db)
    with pytest.raises(QueryError):
        resolve_many("tol:search", db)
    with pytest.raises(SessionNotFound, match="needs 4 values, this one has 2"):
        resolve_many([True, False], db)


def test_an_empty_store_says_how_to_begin(empty: Database) -> None:
    for ref in (None, "weather", 0):
        with pytest.raises(SessionNotFound, match=r"Nothing recorded yet: .*pp\.demo"):
            resolve(ref, empty)
    assert resolve_many(None, empty) == []
    assert resolve_many(pp.ALL, empty) == []


def test_a_session_and_an_event_read_well_and_never_as_markup(empty: Database) -> None:
    run = Run("hostile")
    event = run.add(Error, "<img src=x>", error_message="<script>alert(1)</script>\ud800\u202e", error_type="Ünsafe")
    run.save(empty, name="<b>bold</b>", input={"q": "<i>", 1: float("nan")})
    session, error = pp.session("hostile"), pp.event(event.id)
    assert repr(session) == "Session('<b>bold</b>', completed, 1 event, 1 failed)"
    for html in (session._repr_html_(), error._repr_html_()):
        html.encode()
        assert "<script" not in html
        assert "<img" not in html
        assert "<b>" not in html
        assert "<i>" not in html
    assert "&lt;script&gt;alert(1)" in error._repr_html_()


def test_a_frame_of_one_session_means_it_and_a_longer_one_says_what_to_do(store: Database) -> None:
    for name in ("a", "b"):
        Run(name).save(store)
    frame = pp.sessions()
    assert sessions.resolve(frame[frame.name == "a"], store) == "a"
    with pytest.raises(SessionNotFound, match="A frame of 2 sessions does not name one: pick a row"):
        sessions.resolve(frame, store)
    with pytest.raises(SessionNotFound, match="means every session"):
        sessions.resolve(pp.ALL, store)


@pytest.mark.parametrize(("cost", "shown"), [(0.5, "$0.5000"), (0.000012, "$0.000012"), (0.0, "$0")])
def test_a_cost_is_shown_with_the_digits_that_it_has(empty: Database, cost: float, shown: str) -> None:
    run = Run("cheap")
    answer = run.add(LLMResponse, "m", cost_usd=cost)
    run.save(empty)
    for one in (pp.event(answer.id), pp.session("cheap")):
        assert f"<bdi>{shown}</bdi>" in one._repr_html_()
