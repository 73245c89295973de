"""Two runs side by side: which step is which, what is different about it, and where they part for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peaky_peek.analysis import contents
from peaky_peek.analysis.alignment import Likeness, align, common
from peaky_peek.analysis.contents import Run
from peaky_peek.analysis.differences import Differences
from peaky_peek.analysis.divergence import first_divergence, first_row, step_of_each
from peaky_peek.analysis.words import words
from peaky_peek.events import AgentStart, Decision, ToolCall, ToolResult
from peaky_peek.store import Database
from tests import edits, recordings


@dataclass(frozen=True)
class Letters:
    """A run whose steps are letters: capitals and small ones are alike, vowels are of another kind than the others."""

    text: str

    @property
    def exact(self) -> Sequence[int]:
        return [ord(letter) for letter in self.text]

    def likeness(self, row: int) -> Likeness:
        letter = self.text[row]
        masked, rough = ord(letter.lower()), letter.lower() in "aeiou"
        return Likeness(masked, rough, "vowel" if rough else "consonant", "", "", letter.lower())


unhurried = settings(deadline=None)
LETTERS = st.text("abcdeABC", max_size=30).map(Letters)


def pairs(a: str, b: str) -> list[tuple[int, int, bool]]:
    return [(pair.a, pair.b, pair.moved) for pair in align(Letters(a), Letters(b))]


@unhurried
@given(LETTERS, LETTERS)
def test_the_other_way_round_the_same_steps_are_paired(a: Letters, b: Letters) -> None:
    there, back = align(a, b), align(b, a)
    assert sorted((pair.b, pair.a, pair.moved, pair.similarity) for pair in there) == sorted(back)
    assert there == align(a, b)


@unhurried
@given(LETTERS)
def test_a_run_is_the_same_as_itself(a: Letters) -> None:
    assert align(a, a) == [(row, row, False, 1.0) for row in range(len(a.text))]


@unhurried
@given(LETTERS, LETTERS)
def test_pairs_are_one_to_one_in_order_unless_moved_and_of_one_kind(a: Letters, b: Letters) -> None:
    found = align(a, b)
    assert len({pair.a for pair in found}) == len({pair.b for pair in found}) == len(found)
    in_order = [pair.b for pair in found if not pair.moved]
    assert in_order == sorted(in_order)
    assert all(a.likeness(pair.a).kind == b.likeness(pair.b).kind for pair in found)


@unhurried
@given(st.text("abc", max_size=40), st.text("abc", max_size=40))
def test_as_much_as_possible_is_common(a: str, b: str) -> None:
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            longest[i + 1][j + 1] = longest[i][j] + 1 if one == other else max(longest[i][j + 1], longest[i + 1][j])
    assert len(common(a, b)) == longest[-1][-1]


def test_inserted_removed_changed_moved_and_repeated_steps_are_told_apart() -> None:
    assert pairs("bcdfg", "bcXdfg") == [(0, 0, False), (1, 1, False), (2, 3, False), (3, 4, False), (4, 5, False)]
    assert pairs("bcdfg", "bcfg") == [(0, 0, False), (1, 1, False), (3, 2, False), (4, 3, False)]
    assert (2, 2, False) in pairs("bcdfg", "bcDfg")
    assert (0, 4, True) in pairs("kbcdf", "bcdfk")
    assert pairs("bcd", "bccd") == [(0, 0, False), (1, 1, False), (2, 3, False)]


def test_long_runs_are_anchored_where_they_are_unlike_the_rest() -> None:
    a = [number % 977 * 1_009 + number % 13 for number in range(12_000)]
    b = [*a[:4_000], -1, *a[4_000:7_000], *a[7_050:]]
    assert len(common(a, b)) == len(a) - 50
    assert len(common([number % 3 for number in range(9_000)], [number % 3 for number in range(9_001)])) == 9_000


@pytest.fixture
def sources(store: Database) -> list[list[Run]]:
    return edits.real_runs(store)


def test_planted_edits_in_real_runs_are_found(sources: list[list[Run]]) -> None:
    runs = [run for source in sources for run in source]
    found, wrong, missed = 0, 0, 0
    for number, run in enumerate(runs):
        planted = edits.planted(run, runs[number - 1], seed=number)
        aligned = frozenset((pair.a, pair.b) for pair in align(planted.a, planted.b))
        found += len(aligned & planted.truth)
        wrong += len(aligned - planted.truth)
        missed += len(planted.truth - aligned)
    assert 2 * found / (2 * found + wrong + missed) >= 0.99


def test_where_real_runs_were_made_to_part_for_good_is_found(sources: list[list[Run]]) -> None:
    for number, run in enumerate(sources[0]):
        foreign = sources[2][0]
        planted = edits.parted(run, foreign, seed=number)
        table = Differences(planted.a, planted.b)
        found = first_row(table.diverges)
        assert found is not None
        row, lasting = found
        assert lasting
        assert step_of_each(table, row) == planted.parting


def record(db: Database, name: str, *steps: tuple[str, object, object], prompt: str = "be kind") -> Run:
    """A run that calls tools: each step is a tool, its argument and its result."""
    run = recordings.Run(name)
    root = run.add(AgentStart, name, None, agent=name, input=prompt, code=f"agent({prompt!r})")
    for tool, argument, result in steps:
        run.add(Decision, tool, root, agent=name, chosen_action=tool, reasoning=f"{tool} is next")
        call = run.add(ToolCall, tool, root, agent=name, tool_name=tool, arguments={"of": argument})
        run.add(ToolResult, tool, call, agent=name, tool_name=tool, result=result)
    return contents.read(db, run.save(db))


FIND, LOOK, PAY, TELL = ("find", 1, "a"), ("look", 2, "b"), ("pay", 84.5, "paid"), ("tell", 3, "told")


def test_names_of_runs_ids_and_clock_times_are_no_differences(store: Database) -> None:
    made = {"id": "0198c1f2-5a3b-7c4d-9e8f-001122334455", "at": "2026-05-01T10:00:00Z"}
    later = {"id": "0198c1f2-5a3b-7c4d-9e8f-aabbccddeeff", "at": "2026-06-01T11:00:00Z"}
    one, two = record(store, "monday", ("find", 1, made)), record(store, "tuesday", ("find", 1, later))
    table = Differences(one, two)
    assert table.ops == ["=", "=", "="]
    assert first_divergence(store, table) is None


def test_a_decision_that_differs_is_the_divergence_and_the_prompt_before_it_the_cause(store: Database) -> None:
    one = record(store, "one", FIND, LOOK, PAY, TELL)
    two = record(store, "two", FIND, ("ask", 9, "no"), ("wait", 9, "no"), ("stop", 9, "no"), prompt="be quick")
    found = first_divergence(store, Differences(one, two))
    assert found is not None
    assert (found.a_step, found.b_step, found.lasting) == (4, 4, True)
    assert found.a_id == one.steps["event_id"][3]
    assert found.cause is not None
    assert found.cause.b_step == 1
    assert repr(found) == "Step 4 chose ask instead of look; what came before first differed at step 1 (input)."


def test_a_detour_is_told_from_a_lasting_divergence(store: Database) -> None:
    one = record(store, "one", FIND, LOOK, PAY, TELL)
    two = record(store, "two", FIND, ("ask", 9, "no"), LOOK, PAY, TELL)
    found = first_divergence(store, Differences(one, two))
    assert found is not None
    assert not found.lasting
    assert repr(found) == "Step 4 chose ask instead of look; they come together again."


def test_another_amount_is_named_with_both_values(store: Database) -> None:
    one, two = record(store, "one", FIND, PAY), record(store, "two", FIND, ("pay", 48.5, "paid"))
    table = Differences(one, two)
    assert table.frame()["changed"].dropna().tolist() == ["arguments.of"]
    found = first_divergence(store, table)
    assert repr(found) == "Step 5 is pay with another of (48.5 instead of 84.5)."


def test_the_table_says_what_was_moved_and_what_repeated(store: Database) -> None:
    one = record(store, "one", FIND, LOOK, PAY, TELL)
    two = record(store, "two", FIND, FIND, PAY, TELL, LOOK)
    frame = Differences(one, two).frame()
    assert frame.loc[frame["op"] == "move", "name"].tolist() == ["look", "look"]
    assert frame.loc[frame["op"] == "move", "note"].tolist() == ["was step 4", "was step 5"]
    assert frame.loc[frame["op"] == "+", "note"].tolist() == ["repeats step 2", "repeats step 3"]


def test_two_runs_without_a_step_have_no_rows_but_all_columns(store: Database) -> None:
    empty = contents.read(store, "nothing")
    frame = Differences(empty, empty).frame()
    assert len(frame) == 0
    assert str(frame["a_step"].dtype) == "Int64"


@unhurried
@given(st.text(max_size=60), st.text(max_size=60))
def test_words_put_together_give_either_text(before: str, after: str) -> None:
    found = words(before, after)
    assert "".join(text for sign, text in found if sign != "+") == before
    assert "".join(text for sign, text in found if sign != "-") == after
