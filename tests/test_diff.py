"""The diff of two sessions, and of two sets of them, as Python sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import peaky_peek as pp
from peaky_peek import store as stores
from peaky_peek.errors import EventNotFound, PeekError, QueryError, SessionNotFound
from peaky_peek.magics.peek import _shown
from peaky_peek.store import Database
from peaky_peek.widgets.diff import SessionDiff
from peaky_peek.widgets.flow import ConsensusFlow
from tests.refunds import Refund


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    pp.demo(path)
    return path


@pytest.fixture
def invoices(demo: Path) -> Iterator[None]:
    """The demo's runs; the newest of a name is that of the second version of the prompt."""
    stores.use(demo)
    yield
    stores.current().close()


def invoice(number: int, version: str) -> str:
    return str(pp.sessions(f'version:{version} "book INV-{number}"')["session_id"].iloc[0])


def compared(a: object, b: object) -> SessionDiff:
    found = pp.diff(a, b)
    assert isinstance(found, SessionDiff)
    return found


@pytest.fixture
def refunds(store: Database) -> SessionDiff:
    return compared(Refund("fails").save(store), Refund("succeeds", succeeds=True).save(store))


def test_two_versions_of_a_prompt_part_where_the_second_forgets_to_convert(invoices: None) -> None:
    found = compared(invoice(205, "v1"), "book INV-205")
    parting = found.first_divergence
    assert parting is not None
    assert repr(parting) == (
        "Step 9 chose check_limit instead of get_exchange_rate; "
        "its input first differed at step 2 (policy_parameters.prompt)."
    )
    assert pp.event(parting.a_id or "").event_type == "llm_request"
    assert parting.cause is not None
    assert pp.event(parting.cause.b_id or "").event_type == "prompt_policy"
    assert found.frame["op"].tolist()[8:11] == ["-", "-", "-"]


def test_a_refusal_and_the_way_around_it_part_where_the_policy_is_bypassed(invoices: None) -> None:
    found = compared("salary request Monday", "salary request Tuesday")
    assert repr(found.first_divergence) == (
        "Step 11 chose run_sql instead of read_policy; its input first differed at step 1 (input)."
    )
    summary = found.summary.set_index("measure")
    assert summary.loc["tool calls", ["a", "b", "delta"]].tolist() == [3, 5, 2]
    assert summary.loc["violations", "delta"] == 1


def test_a_session_beside_itself_is_the_same(refunds: SessionDiff) -> None:
    found = compared("fails", "fails")
    assert set(found.frame["op"]) == {"="}
    assert found.first_divergence is None
    assert not found.frame["changed"].notna().any()


def test_the_frame_has_the_documented_columns_also_when_nothing_was_recorded(store: Database) -> None:
    found = compared(None, None)
    assert {name: str(dtype) for name, dtype in found.frame.dtypes.items()} == {
        name: str(dtype) for name, dtype in pp.SCHEMA["diff"].items()
    }
    assert repr(found) == "SessionDiff(nothing recorded yet)"
    assert found.summary.empty


def test_events_of_either_session_can_be_selected_and_come_back_of_both(refunds: SessionDiff) -> None:
    row = refunds.frame.index[refunds.frame["op"] == "~"][0]
    refunds.selected = refunds.frame["a_id"][row]
    assert refunds._rows == [row]
    both = refunds.selected_events["session_id"]
    assert set(both) == {"fails", "succeeds"}
    with pytest.raises(EventNotFound):
        refunds.selected = "no such event"


def test_the_trees_on_both_sessions_move_with_the_diff(refunds: SessionDiff) -> None:
    one, other = pp.tree("fails"), pp.tree("succeeds")
    row = int(refunds.frame.index[refunds.frame["op"] == "~"][2])
    a_id, b_id = refunds.frame.loc[row, ["a_id", "b_id"]]
    refunds._rows = [row]
    assert (one.selected, other.selected) == ([a_id], [b_id])
    other.selected = []
    assert one.selected == []
    other.selected = b_id
    assert refunds._rows == [row]
    assert one.selected == [a_id]


def test_a_filter_finds_rows_by_either_side(refunds: SessionDiff) -> None:
    refunds.filter = "failed"
    assert refunds._mask is not None
    failed = refunds._mask.sum()
    assert 0 < failed < len(refunds.frame)
    refunds.filter = lambda frame: frame["op"] != "="
    assert refunds._mask.sum() == (refunds.frame["op"] != "=").sum()
    with pytest.raises(QueryError):
        refunds.filter = [True]


def test_a_row_opens_to_what_changed_word_by_word_and_to_both_sides(refunds: SessionDiff) -> None:
    row = refunds.frame.index[refunds.frame["changed"].notna() & (refunds.frame["event_type"] == "tool_call")][0]
    details = refunds._recording.details(int(row))
    changed = details["sections"][0]
    assert changed["kind"] == "compare"
    assert {sign for change in changed["changes"] for sign, _ in change["words"]} - {"="}
    assert {title[:2] for title in (section["title"] for section in details["sections"][1:])} == {"a:", "b:"}


def test_the_whole_of_a_long_text_can_be_asked_for_on_either_side(store: Database) -> None:
    for name in ("one", "two"):
        with pp.trace_session(name) as ctx:
            ctx.record_tool_result("read", result=name + "x" * 10_000)
    found = compared("one", "two")
    sections = found._recording.details(1)["sections"]
    cut = {section["title"]: section for section in sections if "path" in section}
    for title, begin in (("a: Result", "one"), ("b: Result", "two")):
        request = {"type": "more", "row": 1, "path": cut[title]["path"]}
        [(message, _)] = found._answer(request)
        assert message["text"] == begin + "x" * 10_000


def test_what_was_recorded_since_comes_with_a_refresh(store: Database) -> None:
    with pp.trace_session("one") as ctx:
        ctx.record_tool_result("read", result=1)
    with pp.trace_session("two") as other:
        found = compared("one", "two")
        assert "+" not in found.frame["op"].tolist()
        other.record_tool_result("read", result=1)
        other.record_tool_result("write", result=1)
        found.refresh()
        assert found.frame["op"].tolist() == ["=", "=", "+"]


def test_the_saved_picture_names_what_differs_with_its_sign(refunds: SessionDiff) -> None:
    bundle = refunds._repr_mimebundle_()
    assert bundle is not None
    html = bundle[0]["text/html"]
    assert "refund_agent (fails) → refund_agent (succeeds)" in html
    assert "~ " in html


def test_a_page_of_its_own_holds_the_comparison(refunds: SessionDiff, tmp_path: Path) -> None:
    page = refunds.to_html(tmp_path / "diff.html").read_text()
    assert '"kind":"compare"' in page
    assert "default-src 'none'" in page


def test_a_name_that_does_not_exist_is_answered_with_the_closest(refunds: SessionDiff) -> None:
    with pytest.raises(SessionNotFound, match="succeeds"):
        pp.diff("fails", "succeds")


def test_two_sets_are_one_flow_whose_failing_branch_skips_the_conversion(invoices: None) -> None:
    found = pp.diff("version:v1", "version:v2")
    assert isinstance(found, ConsensusFlow)
    frame = found.frame
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: str(dtype) for name, dtype in pp.SCHEMA["flow"].items()
    }
    skips = frame[(frame["source_name"] == "read_invoice") & (frame["target_name"] == "check_limit")].iloc[0]
    assert (skips["a"], skips["b"], skips["share_b"], skips["failure_rate"]) == (2, 6, 1.0, 0.5)
    converts = frame[frame["target_name"] == "get_exchange_rate"].iloc[0]
    assert (converts["a"], converts["b"], converts["failure_rate"]) == (3, 0, 0.0)
    graph = found.graph
    assert graph.nodes["start"]["runs"] == 12
    assert sum(data["runs"] for *_, data in graph.in_edges("end", data=True)) == 12


def test_a_step_of_the_flow_is_the_events_of_all_runs_that_pass_it(invoices: None) -> None:
    pair = compared(invoice(205, "v1"), invoice(205, "v2"))
    found = pp.diff("version:v1", "version:v2")
    found._rows = [0]
    assert len(found.selected) == 12  # a diff of two of the runs follows, and does not lead back
    assert pair.selected_events["name"].unique().tolist() == ["find_invoice"]
    assert set(found.selected_events["name"]) == {"find_invoice"}
    found.filter = "tool:get_exchange_rate"
    assert found._mask is not None
    assert found._mask.sum() == 2


def test_the_flow_of_one_set_and_of_none(store: Database) -> None:
    assert repr(pp.diff([])).startswith("ConsensusFlow(Nothing recorded yet: ")
    sessions = [Refund("one").save(store), Refund("two").save(store)]
    found = pp.diff(sessions)
    assert isinstance(found, ConsensusFlow)
    assert set(found.frame["share"]) == {1.0}
    assert found.frame["share_b"].isna().all()


def test_the_magic_takes_two_names_with_blanks_in_quotes(invoices: None) -> None:
    shown = _shown("diff", "'salary request Monday' 'salary request Tuesday'")
    assert [one.name for one in shown.sessions] == ["salary request Monday", "salary request Tuesday"]
    assert _shown("diff", "-2 -1").sessions[1].name == "return a tablet"
    with pytest.raises(PeekError, match="two sessions"):
        _shown("diff", "a b c")
