"""The query language: what it finds among sessions and events, and what it says about what it cannot read."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peaky_peek import store
from peaky_peek.errors import QueryError
from peaky_peek.events import AgentEnd, AgentStart, Error, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import Database, query, sessions
from tests.recordings import START, Run

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Two sessions: a booking that fails two days after a refund went well."""
    db = store.use(tmp_path_factory.mktemp("query") / "peek.db")
    run = Run("refund")
    agent = run.add(AgentStart, "support", agent="Support", input={"path": 'C:\\orders\n"7"'})
    call = run.add(ToolCall, "search_orders", agent, tool_name="search_orders", arguments={"q": "50% off_season"})
    run.add(ToolResult, "search_orders", call, tool_name="search_orders", result=[], duration_ms=700.0)
    asked = run.add(LLMRequest, "chat", agent, model="gpt-4.1-mini", messages=[{"role": "user", "content": "Grüße"}])
    run.add(LLMResponse, "chat", asked, model="gpt-4.1-mini", content="done", cost_usd=0.02, status="ok")
    run.add(AgentEnd, "support", agent, duration_ms=2500.0)
    end = START + 2_500_000
    run.save(db, name="refund_agent", task="refund", version="1", tags=["ci", "Nightly"], outcome="pass", ended_at=end)

    run = Run("booking", START + 2 * DAY)
    agent = run.add(AgentStart, "travel", agent="Travel")
    call = run.add(ToolCall, "search", agent, tool_name="search", arguments={"city": "Oslo"})
    run.add(ToolResult, "search", call, tool_name="search", error="TimeoutError: no answer", status="error")
    run.add(Error, "boom", agent, error_type="ToolTimeoutError", error_message="no answer")
    run.save(db, name="booking_agent", task="booking", version="10", status="failed")
    yield db
    store.use(None)


def events(db: Database, text: str) -> list[str]:
    where = query.over_events(text)
    rows = db.connection().execute(
        f"SELECT event_id FROM events e WHERE {where.sql} ORDER BY position", where.parameters
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["refund", "booking"]),
        ("oslo", ["booking"]),
        ("oslo refund", []),
        ('"no answer"', ["booking"]),
        ("nightly", []),
        ("tool:search", ["refund", "booking"]),
        ("tool:=search", ["booking"]),
        ("-tool:=SEARCH", ["refund"]),
        ("agent:support", ["refund"]),
        ("model:gpt-4.1", ["refund"]),
        ("model:GPT-4_1", []),
        ("type:llm", ["refund"]),
        ("status:error", ["booking"]),
        ("status:completed", ["refund"]),
        ("outcome:PASS", ["refund"]),
        ("-outcome:pass", ["booking"]),
        ("task:refund", ["refund"]),
        ("version:1", ["refund"]),
        ("tag:nightly tag:ci", ["refund"]),
        ("name:booking", ["booking"]),
        ("failed", ["booking"]),
        ("-failed", ["refund"]),
        ("suspect", ["refund"]),
        ("cost:>0.01", ["refund"]),
        ("cost:>$0.02", []),
        ("cost:0.02", ["refund"]),
        ("duration:>2s", ["refund"]),
        ("duration:<=2500ms", ["refund"]),
        ("-duration:>2s", ["booking"]),
        ("after:2026-10-28", ["booking"]),
        ("before:2026-10-28", ["refund"]),
        ("after:2026-10-26T07:33:20Z before:2026-10-26T07:33:21+00:00", ["refund"]),
        ("after:9999-12-31T12:00Z", []),
    ],
)
def test_a_query_finds_sessions_by_themselves_and_by_their_events(db: Database, text: str, found: list[str]) -> None:
    assert sessions.matching(text, db) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tool:search failed", ["booking-2"]),
        ("type:tool -failed", ["refund-1", "refund-2", "booking-1"]),
        ("suspect", ["refund-2"]),
        ('"50% off_season"', ["refund-1"]),
        ("50_ off", []),
        ('"C:\\orders"', ["refund-0"]),
        ("grüße", ["refund-3"]),
        ("duration:>0.5s -type:agent", ["refund-2"]),
        ("cost:>0", ["refund-4"]),
        ("outcome:pass type:response", ["refund-4"]),
        ("status:failed type:error", ["booking-3"]),
        ("timeouterror type:error", ["booking-3"]),
        ("task:booking after:2026-10-28 city", ["booking-1"]),
    ],
)
def test_a_query_finds_events(db: Database, text: str, found: list[str]) -> None:
    assert events(db, text) == found


def test_a_negated_condition_is_met_by_what_is_unknown(db: Database) -> None:
    assert events(db, "-model:gpt type:llm") == []
    assert len(events(db, "-model:gpt")) == 8


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "failed tol:search",
            "Cannot read 'tol:search' at character 8 of the query: there is no key 'tol:' (did you mean 'tool:'",
        ),
        ("http://example.org", "text with a colon goes in quotes"),
        ('oslo "no answer', "Cannot read '\"no' at character 6 of the query: the quote is not closed."),
        ("tool:", "'tool:' needs a value"),
        ("type:toolcall", "did you mean tool_call"),
        ("status:done", "a status is one of ok, error, cancelled, running"),
        ("cost:cheap", "write it like cost:>0.01"),
        ("cost:>2s", "write it like cost:>0.01"),
        ("duration:>2parsecs", "write it like duration:>2s"),
        ("after:tuesday", "write a day or a time like 2026-11-01"),
        ("a" * 2000, "The query has 2,000 characters, more than 1,000"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text: str, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        query.over_events(text)
    assert says in str(caught.value)


def test_days_are_those_of_the_local_clock_and_ages_count_back_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        moment = lambda text: query.over_events(f"after:{text}").parameters["v0"] / 1e6  # noqa: E731
        local = dt.datetime.fromtimestamp(moment("2026-07-01"), dt.UTC)
        assert local == dt.datetime(2026, 7, 1, 4, tzinfo=dt.UTC)
        assert time.strftime("%H:%M:%S", time.localtime(moment("today"))) == "00:00:00"
        assert moment("yesterday") < moment("today") < moment("0s")
        assert moment("0s") - moment("2h") == pytest.approx(7200, abs=60)
    finally:
        monkeypatch.undo()
        time.tzset()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(
    text=st.text(max_size=60)
    | st.lists(st.sampled_from(["tool:", '"', "-", "\0", "\ud800", "%", "a'; --", "cost:>", " "])).map("".join)
)
def test_any_text_is_a_query_or_an_error_but_never_sql(db: Database, text: str) -> None:
    try:
        sessions.matching(text, db)
        events(db, text)
    except QueryError:
        pass
    assert db.connection().execute("SELECT count(*) FROM events").fetchone() == (10,)
