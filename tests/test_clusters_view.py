"""`pp.clusters`: the clusters as a widget, in Python: its frames, its selection, its filter, what it leads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import peaky_peek as pp
from peaky_peek.errors import ClusterNotFound, EventNotFound, QueryError
from peaky_peek.store import Database
from peaky_peek.widgets.clusters import FailureClusters
from tests.test_clusters import fail


@pytest.fixture
def found(store: Database) -> FailureClusters:
    fail(store, "monday", "order 1 not found", "TimeoutError: no answer in 3 s", agent="planner")
    fail(store, "tuesday", "order 2 not found", day=1, agent="critic")
    fail(store, "wednesday", "order 3 not found", "card 17 has expired", tool="pay", day=2)
    return pp.clusters()


def test_it_says_how_much_fails_and_lists_the_clusters_as_a_frame(found: FailureClusters) -> None:
    assert repr(found) == "FailureClusters(4 clusters, 5 failures in 3 of 3 runs, 1 infrastructure)"
    assert found.frame["name"].tolist() == [
        "search: order … not found", "pay: card … has expired", "pay: order … not found",
        "search: TimeoutError: no answer in … s",
    ]  # fmt: skip
    assert {name: str(kind) for name, kind in found.frame.dtypes.items()} == {
        name: "category" if "category" in repr(kind).lower() else str(kind)
        for name, kind in pp.SCHEMA["clusters"].items()
    }
    assert found.failures.columns[-1] == "cluster_id"


def test_an_empty_store_says_how_to_begin_and_one_without_failures_that_all_is_well(store: Database) -> None:
    assert "Nothing recorded yet" in repr(pp.clusters())
    assert len(pp.clusters().frame) == 0
    with pp.trace_session("fine"):
        pass
    assert repr(pp.clusters()) == "FailureClusters(Nothing failed in 1 run.)"
    assert list(pp.clusters().frame.columns) == list(pp.SCHEMA["clusters"])


def test_where_nothing_failed_it_is_refreshed_and_follows_other_views_all_the_same(store: Database) -> None:
    with pp.trace_session("fine") as run:
        call = run.record_tool_call("pay")
    found, tree = pp.clusters(), pp.tree("fine")
    tree.selected = call
    found.refresh()
    assert (found.selected, found.code) == ([], "pp.events(data=True)")
    with pytest.raises(EventNotFound):
        found.selected = call


def test_selecting_events_selects_their_rows_and_a_whole_cluster_its_own(found: FailureClusters) -> None:
    whole = found.frame["event_ids"][0]
    found.selected = whole
    assert found._rows == [0]
    found.selected = whole[:1]
    assert found._rows == [2]  # the newest of a cluster comes first
    found._rows = [0]
    assert sorted(found.selected) == sorted(whole)
    assert found.selected_events["tool_name"].tolist() == ["search", "search"]
    assert found.selected_events["data"][0]["error"].startswith("order")
    with pytest.raises(EventNotFound):
        found.selected = ["nobody"]


def test_it_leads_the_trees_on_the_sessions_of_what_is_selected(found: FailureClusters) -> None:
    monday, tuesday, wednesday = pp.tree("monday"), pp.tree("tuesday"), pp.tree("wednesday")
    alone = pp.tree("monday", linked=False)
    found.selected = found.frame["event_ids"][0]
    assert (monday.selected, tuesday.selected, wednesday.selected) == (["monday-2"], ["tuesday-2"], [])
    found.selected = found.frame["event_ids"][1]
    assert (monday.selected, tuesday.selected, wednesday.selected) == ([], [], ["wednesday-4"])
    assert found.selected == ["wednesday-4"]
    assert alone.selected == []


def test_it_follows_a_tree_to_a_failure_and_not_to_what_went_well(found: FailureClusters) -> None:
    tree = pp.tree("tuesday")
    tree.selected = ["tuesday-2"]
    assert found.selected == ["tuesday-2"]
    tree.selected = ["tuesday-0"]
    assert found.selected == ["tuesday-2"]


def test_of_a_closed_one_nothing_is_led(found: FailureClusters) -> None:
    found.close()
    pp.tree("tuesday").selected = ["tuesday-2"]
    assert found.selected == []


def test_a_filter_is_a_query_a_mask_or_a_function_and_the_frame_follows(found: FailureClusters) -> None:
    found.filter = "tool:search"
    assert found.frame["size"].tolist() == [2, 1]
    assert found.failures["tool_name"].unique().tolist() == ["search"]
    found.filter = lambda failures: failures["kind"] == "infrastructure"
    assert found.frame["name"].tolist() == ["search: TimeoutError: no answer in … s"]
    found.filter = found._recording.recurring.frame["name"].str.startswith("pay")
    assert found.frame["size"].tolist() == [1, 1]
    found.filter = np.array([True, False, False, False, False])
    assert found.frame["size"].tolist() == [1]
    found.filter = ""
    assert len(found.frame) == 4
    with pytest.raises(QueryError, match=r"has 2 values, this needs 5 values \(failures\) or 4 \(clusters\)"):
        found.filter = [True, False]
    with pytest.raises(QueryError):
        found.filter = "tol:search"


def test_a_filter_keeps_the_ids_and_names(found: FailureClusters) -> None:
    whole = found.frame.set_index("cluster_id")["name"]
    found.filter = "agent:critic"
    assert found.frame["cluster_id"].map(whole).tolist() == found.frame["name"].tolist()


def test_renaming_merging_and_splitting_change_the_view_and_stay(found: FailureClusters) -> None:
    order, card, other, _ = found.frame["cluster_id"]
    found.rename("search: order … not found", "lost orders")
    assert found.frame["name"][0] == "lost orders"
    found.selected = found.frame["event_ids"][0]
    assert found.merge([order, other]) == order
    assert found.frame["size"].tolist() == [3, 1, 1]
    assert found._rows == [2, 3]  # two of the three are still selected, the oldest
    assert len(found.split(order, by="agent")) == 3
    assert len(pp.clusters().frame) == 5
    with pytest.raises(ClusterNotFound):
        found.rename(order, "split away")
    found.rename(card, "old cards")
    assert pp.clusters("wednesday").frame["name"].tolist()[0] == "old cards"


def test_refreshing_shows_what_failed_since(found: FailureClusters, store: Database) -> None:
    fail(store, "thursday", "order 9 not found", day=3)
    found.refresh()
    assert found.frame["size"][0] == 3


def test_the_inspector_reads_the_representative_with_its_arguments(found: FailureClusters) -> None:
    details = found._recording.details(0)
    facts = dict(map(tuple, details["facts"]))
    assert details["subtitle"] == "the representative of 2 failures"
    assert facts["Run"] == "tuesday"
    error = next(section for section in details["sections"] if section["title"] == "Error")
    assert error["message"]["text"] == "order 2 not found"
    assert found._recording.previews([0, 1]) == ["", "2026-10-27 07:33 · order 2 not found"]


def test_the_saved_outline_lists_the_worst_clusters_in_words(found: FailureClusters) -> None:
    first = found._outline[0]
    assert (first["label"], first["text"]) == ("search: order … not found", "medium · 2 failures · 2 of 3 runs")
    html = found._repr_mimebundle_()[0]["text/html"]
    assert "What keeps failing" in html
    assert "search: order … not found" in html


def test_a_page_of_it_works_alone_and_has_the_failures_inside(found: FailureClusters, tmp_path: Path) -> None:
    written = found.to_html(tmp_path / "clusters.html").read_text()
    assert "order 2 not found" in written
    assert "default-src 'none'" in written


def test_clusters_are_reached_by_the_magic(found: FailureClusters) -> None:
    from peaky_peek.magics.peek import _shown

    assert repr(_shown("clusters", "tool:pay")) == ("FailureClusters(2 clusters, 2 failures in 1 of 3 runs)")
