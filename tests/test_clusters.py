"""What keeps failing: failures that are the same over many runs are one cluster, which keeps its name and its edits."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek import store as stores
from peaky_peek.analysis import clusters
from peaky_peek.analysis.recurring import Recurring
from peaky_peek.analysis.similar import Alike
from peaky_peek.analysis.trends import Timeline
from peaky_peek.errors import ClusterNotFound, PeekError, QueryError
from peaky_peek.events import AgentStart, Error, PolicyViolation, ToolCall, ToolResult
from peaky_peek.store import Database
from peaky_peek.store.memory import Memory
from tests.recordings import START, Run

DATA = Path(__file__).parent / "data"
DAY = 86_400_000_000


def fail(
    db: Database, session: str, *errors: str, tool: str = "search", day: int = 0, agent: str | None = None
) -> None:
    """Record a run in which a tool fails with each of the errors."""
    run = Run(session, START + day * DAY)
    root = run.add(AgentStart, session)
    for error in errors:
        call = run.add(ToolCall, tool, root, tool_name=tool, agent=agent)
        run.add(ToolResult, tool, call, tool_name=tool, error=error, agent=agent)
    run.save(db)


def names(found: Recurring) -> list[str]:
    return found.frame["name"].tolist()


def test_forty_timeouts_with_other_ids_are_one_cluster_that_says_why(store: Database) -> None:
    for number in range(40):
        fail(store, f"r{number}", f"TimeoutError: no answer for order A-{number * 37} within {number}.5 s")
    (row,) = Recurring(store).frame.itertuples()
    assert row.name == "search: TimeoutError: no answer for order … within … s"
    assert (row.size, row.sessions, row.kind, row.severity) == (40, 40, "infrastructure", "medium")
    assert row.why == (
        "same type (TimeoutError); same tool (search); same message once ids, numbers, paths and quotes are masked"
    )
    assert row.representative == "r39-2"
    assert row.event_ids == [f"r{number}-2" for number in range(40)]


def test_what_is_said_in_other_words_is_the_same_and_what_is_another_fault_is_not(store: Database) -> None:
    fail(store, "a", "order A-1 was refunded already", "Already refunded: order A-2", "order A-3 not found")
    fail(store, "b", "card 17 has expired", "card 17 was declined by the bank", tool="pay")
    found = Recurring(store)
    assert found.frame.set_index("name")["size"].to_dict() == {
        "search: order … was refunded already": 2,
        "search: order … not found": 1,
        "pay: card … has expired": 1,
        "pay: card … was declined by the bank": 1,
    }
    why = found.frame.set_index("name")["why"]["search: order … was refunded already"]
    assert "2 wordings that are nearly the same" in why


def test_the_same_words_of_another_tool_or_of_another_type_are_another_cluster(store: Database) -> None:
    fail(store, "a", "ValueError: not found", "KeyError: not found")
    fail(store, "b", "ValueError: not found", tool="fetch")
    assert len(Recurring(store).frame) == 3


def test_what_is_a_consequence_is_not_counted_again(store: Database) -> None:
    run = Run("r")
    root = run.add(AgentStart, "r")
    call = run.add(ToolCall, "pay", root, tool_name="pay")
    run.add(Error, "ValueError", call, error_type="ValueError", error_message="no")
    run.add(ToolResult, "pay", call, tool_name="pay", error="ValueError: no")
    run.add(Error, "ValueError", root, error_type="ValueError", error_message="no")
    run.save(store, status="failed")
    (row,) = Recurring(store).frame.itertuples()
    assert (row.size, row.severity, row.place, row.event_ids) == (1, "high", "pay", ["r-2"])


def test_crashes_of_the_harness_never_mix_with_faults_of_the_agent_on_recorded_runs_of_tau_bench(
    store: Database,
) -> None:
    pp.load(DATA / "tau_failures.jsonl.gz")
    crashed = {event.session_id for event in _errors(store)}
    found = Recurring(store)
    for row in found.frame.itertuples():
        assert {session in crashed for session in row.session_ids} == {row.kind == "infrastructure"}, row.name
    assert found.frame["kind"].value_counts().to_dict() == {"agent": 13, "infrastructure": 6}
    assert found.frame.iloc[0]["size"] == 5


def _errors(store: Database) -> list[Error]:
    ids = pp.events(pp.ALL, types="error")["event_id"]
    return [event for event in map(pp.event, ids) if isinstance(event, Error)]


FAILURES = st.lists(
    st.tuples(
        st.sampled_from(["pay", "search"]), st.sampled_from(["ValueError", "TimeoutError"]),
        st.sampled_from(["order not found", "no such order found", "card expired", "the card has expired"]),
        st.integers(0, 5),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


def as_frame(rows: list[tuple[str, str, str, int]]) -> pd.DataFrame:
    made = [
        {
            "event_id": f"e{number:03}", "session_id": f"s{number}", "place": place, "error_type": kind,
            "template": said, "kind": "agent", "fingerprint": f"{place}{kind}{said}",
            "timestamp": pd.Timestamp(START + when * DAY, unit="us"),
        }
        for number, (place, kind, said, when) in enumerate(rows)
    ]  # fmt: skip
    return pd.DataFrame(made)


def grouped(failures: pd.DataFrame, memory: Memory) -> dict[str, str]:
    ids = clusters.assigned(failures, clusters.found_in(failures, memory), memory)
    return dict(zip(failures["event_id"], ids, strict=True))


@given(FAILURES, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_rows_changes_no_cluster(rows: list[tuple[str, str, str, int]], random: object) -> None:
    failures = as_frame(rows)
    shuffled = failures.sample(frac=1, random_state=random.randrange(1000))  # type: ignore[attr-defined]
    assert grouped(failures, Memory()) == grouped(shuffled, Memory())


@given(FAILURES, FAILURES)
@settings(max_examples=60, deadline=None)
def test_what_comes_later_never_moves_what_was_remembered(
    first: list[tuple[str, str, str, int]], more: list[tuple[str, str, str, int]]
) -> None:
    memory = Memory()
    before = as_frame(first)
    then = grouped(before, memory)
    memory.cluster_of |= clusters.found_in(before, memory)
    now = grouped(as_frame([*first, *more]), memory)
    assert then.items() <= now.items()


def test_a_template_is_compared_with_few_others_however_many_there_are() -> None:
    alike = Alike()
    numbers = [
        alike.first(f"word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)} is missing")
        for n in range(5_000)
    ]
    assert numbers == list(range(5_000))
    assert alike.first("wordaaa was missing") == 0


def test_a_name_stays_when_older_runs_are_found_later(store: Database) -> None:
    fail(store, "new", "order A-1 was refunded already", day=5)
    before = names(Recurring(store))
    fail(store, "old", "already refunded: order A-2", day=1)
    assert names(Recurring(store)) == before


def test_a_name_is_the_same_whatever_is_asked_and_another_when_the_first_run_is_deleted(store: Database) -> None:
    fail(store, "old", "order A-1 was refunded already", day=1)
    fail(store, "new", "already refunded: order A-2", day=5)
    assert names(Recurring(store)) == names(Recurring(store, "new")) == ["search: order … was refunded already"]
    pp.delete("old")
    assert names(Recurring(store)) == ["search: already refunded: order …"]


def test_renaming_merging_and_splitting_are_remembered_by_the_store(store: Database) -> None:
    fail(store, "a", "card 17 has expired", "card 18 was declined by the bank", tool="pay")
    found = Recurring(store)
    expired, declined = (found.cluster(f"pay: card … {end}") for end in ("has expired", "was declined by the bank"))
    found.rename(declined, "  cards of\nno use ")
    found.merge([declined, expired])
    again = Recurring(stores.use(store.path))
    assert (names(again), again.frame["size"].tolist()) == (["cards of no use"], [2])
    assert again.frame["why"].tolist() == ["same tool (pay); merged by you"]
    parts = again.split(declined)
    assert len(parts) == 2
    once_more = Recurring(stores.use(store.path))
    assert sorted(names(once_more)) == ["pay: card … has expired", "pay: card … was declined by the bank"]


def test_what_was_merged_away_never_comes_back(store: Database) -> None:
    fail(store, "a", "card 17 has expired", "card 18 was declined by the bank", tool="pay")
    found = Recurring(store)
    one, other = found.frame["cluster_id"]
    found.rename(other, "gone")
    found.merge([one, other])
    fail(
        store,
        "b",
        "card 99 has expired",
        "card 99 was declined by the bank",
        "the bank declined card 7",
        tool="pay",
        day=1,
    )
    (row,) = Recurring(store).frame.itertuples()
    assert (row.cluster_id, row.size) == (one, 5)
    assert row.name != "gone"


def test_a_cluster_is_split_by_a_column_and_later_failures_go_to_their_part(store: Database) -> None:
    fail(store, "a", "order 1 not found", agent="planner")
    fail(store, "b", "order 2 not found", agent="critic")
    found = Recurring(store)
    (whole,) = found.frame["cluster_id"]
    parts = found.split(whole, by="agent")
    assert sorted(names(found)) == ["critic · search: order … not found", "planner · search: order … not found"]
    fail(store, "c", "order 3 not found", agent="critic")
    later = Recurring(store)
    assert set(later.frame["cluster_id"]) == set(parts)
    assert later.frame.iloc[0][["name", "size"]].tolist() == ["critic · search: order … not found", 2]
    later.merge(parts)
    assert later.frame["size"].tolist() == [3]


def test_what_cannot_be_split_merged_or_found_is_said(store: Database) -> None:
    fail(store, "a", "order 1 not found")
    found = Recurring(store)
    (one,) = found.frame["cluster_id"]
    with pytest.raises(PeekError, match="All failures of this cluster have the same fingerprint"):
        found.split(one)
    with pytest.raises(PeekError, match="choose from fingerprint, tool_name"):
        found.split(one, by="mood")
    with pytest.raises(PeekError, match="give the ids of two or more"):
        found.merge([one, one])
    with pytest.raises(ClusterNotFound, match=r"the closest is 'search: order … not found'"):
        found.rename("order not found", "x")
    assert found.cluster(one[:6]) == one


def test_a_question_is_a_query_over_failures_or_sessions(store: Database) -> None:
    fail(store, "a", "order 1 not found", "TimeoutError: slow")
    fail(store, "b", "order 2 not found", tool="pay", day=3)
    assert len(Recurring(store).frame) == 3
    assert names(Recurring(store, "tool:pay")) == ["pay: order … not found"]
    assert names(Recurring(store, "slow")) == ["search: TimeoutError: slow"]
    assert len(Recurring(store, "a").frame) == 2
    assert len(Recurring(store, ["a", "b"]).frame) == 3
    assert len(Recurring(store, pp.sessions().query("name == 'b'")).runs) == 1
    assert len(Recurring(store, "after:2026-10-26T12:00 tool:pay").runs) == 1
    with pytest.raises(QueryError):
        Recurring(store, "tol:pay")


def test_a_deleted_session_leaves_nothing_of_what_it_said(store: Database) -> None:
    fail(store, "a", "secretword was not found")
    Recurring(store)
    pp.delete("a")
    assert len(Recurring(store).frame) == 0
    assert b"secretword" not in store.path.read_bytes()


@pytest.mark.parametrize(
    ("failing", "trend"),
    [
        ([16, 18, 19], "new"), ([0, 14, 15, 16, 17, 18], "rising"), ([0, 1, 2, 3, 4, 5], "falling"),
        ([1, 7, 12, 18], "steady"),
    ],
)  # fmt: skip
def test_the_trend_is_counted_in_runs(failing: list[int], trend: str) -> None:
    runs = pd.DataFrame(
        {"session_id": [f"s{n}" for n in range(20)], "started_at": pd.Timestamp(START, unit="us", tz="UTC")}
    )
    timeline = Timeline(runs)
    assert timeline.trend(f"s{n}" for n in failing) == trend
    assert sum(timeline.counts(f"s{n}" for n in failing)) == len(failing)
    assert timeline.by == "run"


def test_over_days_the_history_is_told_by_day() -> None:
    starts = [pd.Timestamp(START, unit="us", tz="UTC") + pd.Timedelta(days=n // 2) for n in range(10)]
    timeline = Timeline(pd.DataFrame({"session_id": [f"s{n}" for n in range(10)], "started_at": starts}))
    assert (timeline.by, timeline.counts(["s0", "s1", "s9"])) == ("day", [2, 0, 0, 0, 1])


def test_the_order_in_which_runs_without_a_time_were_loaded_is_no_trend(store: Database) -> None:
    pp.load(DATA / "tau_failures.jsonl.gz")
    assert Recurring(store).frame["trend"].isna().all()


def test_of_a_few_runs_there_is_no_trend_and_of_none_no_cluster(store: Database) -> None:
    assert len(Recurring(store).frame) == 0
    fail(store, "a", "order 1 not found")
    assert Recurring(store).frame["trend"].isna().all()


def test_the_representative_is_the_most_severe_and_says_what_few_say(store: Database) -> None:
    run = Run("r")
    root = run.add(AgentStart, "r")
    for severity, details in (("low", "x"), ("high", "a"), ("high", "b"), ("high", "a"), ("high", "a")):
        run.add(
            PolicyViolation,
            "p",
            root,
            policy_name="p",
            severity=severity,
            violation_type="leak",
            details=f"'{details}'",
        )
    run.save(store)
    (row,) = Recurring(store).frame.itertuples()
    assert (row.severity, row.representative, row.size) == ("high", "r-3", 5)
