"""What was asked finds its answer, each answer once; what finds none is told from the closest at a glance."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from peaky_peek.capture.differences import difference
from peaky_peek.capture.matching import Recorded, canonical, shared, without_ids

KINDS = st.sampled_from(["/chat", "/messages"])
UUIDS = st.uuids().flatmap(lambda drawn: st.sampled_from([str(drawn), drawn.hex]))
TEXTS = st.one_of(st.sampled_from(["a", "b", ""]), st.text(max_size=5), UUIDS.map(lambda drawn: f"run {drawn}"))
REQUESTS = st.lists(st.tuples(KINDS, TEXTS), max_size=12)
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


def tracks(requests: list[tuple[str, str]]) -> Recorded[int]:
    recorded = Recorded[int]()
    for number, (kind, asked) in enumerate(requests):
        assert recorded.add(kind, asked, number) == number
    return recorded


@given(REQUESTS.flatmap(lambda asked: st.tuples(st.just(asked), st.permutations(asked))))
def test_in_any_order_each_gets_its_own_and_the_same_in_the_order_of_the_recording(case: Any) -> None:
    requests, order = case
    recorded, left = tracks(requests), defaultdict(list)
    for number, request in enumerate(requests):
        left[request].append(number)
    for request in order:
        taken = recorded.take(*request)
        assert taken is not None
        assert taken.item == taken.number == left[request].pop(0)
    assert recorded.taken == len(recorded) == len(requests)
    assert all(recorded.take(*request) is None for request in requests)


@given(st.lists(st.tuples(KINDS, UUIDS, UUIDS), max_size=8), st.randoms())
def test_new_ids_find_the_same_request_of_the_same_kind_once(requests: list[tuple[str, str, str]], random: Any) -> None:
    recorded = tracks([(kind, f'{{"run":"{before}"}}') for kind, before, _ in requests])
    random.shuffle(requests)
    taken = [recorded.take(kind, f'{{"run":"{now}"}}') for kind, _, now in requests]
    assert sorted(each.number for each in taken if each) == list(range(len(requests)))


@given(REQUESTS, st.sets(st.integers(0, 11)))
def test_what_was_dropped_is_given_to_nobody(requests: list[tuple[str, str]], dropped: set[int]) -> None:
    recorded = tracks(requests)
    recorded.drop(dropped)
    taken = {each.number for request in requests if (each := recorded.take(*request))}
    assert taken == set(range(len(requests))) - dropped


@given(JSON)
def test_all_ways_to_write_json_are_one(value: Any) -> None:
    ways = [json.dumps(value), json.dumps(value, indent=2, ensure_ascii=False), json.dumps(value, sort_keys=True)]
    assert len({canonical(way.encode("utf-8", "surrogatepass")) for way in ways}) == 1


@given(st.text(), st.text(), st.text())
def test_what_texts_share_is_their_common_beginning(common: str, one: str, other: str) -> None:
    size = shared(common + one, common + other)
    assert size >= len(common)
    assert (common + one)[:size] == (common + other)[:size]
    assert (common + one)[size : size + 1] != (common + other)[size : size + 1] or size == len(common + one)


def test_threads_that_ask_the_same_at_once_never_get_the_same() -> None:
    recorded = tracks([("/chat", "same")] * 400)
    start, got = threading.Barrier(4), list[list[int]]()

    def asks() -> None:
        start.wait()
        got.append([taken.item for _ in range(120) if (taken := recorded.take("/chat", "same"))])

    threads = [threading.Thread(target=asks) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(number for numbers in got for number in numbers) == Counter(range(400))
    assert all(numbers == sorted(numbers) for numbers in got)


def test_the_closest_request_is_one_of_the_same_kind_that_shares_most() -> None:
    recorded = tracks([("/chat", each) for each in ("short", "a long question about rain", "a long one about snow")])
    assert recorded.closest("/chat", "a long question about slow rain") == "a long question about rain"
    assert recorded.closest("/other", "anything") is None
    assert recorded.kinds == {"/chat"}
    assert canonical(b"\xff no json") == "\ufffd no json"
    assert without_ids('{"id":"0199C9A3-1b2c-7def-8abc-0123456789ab"}') == '{"id":"<id>"}'
    assert without_ids("sha1 " + "ab" * 20) == "sha1 " + "ab" * 20


def test_a_difference_names_the_place_and_shows_what_is_around_it_in_a_long_text() -> None:
    picture = "iVBOR" + "w0KGgo" * 500_000
    changed = picture[:900_000] + "XXXX" + picture[900_004:]
    bodies = [{"messages": [{"role": "user", "content": [{"image_url": each}]}], "n": 1} for each in (picture, changed)]
    place, was, now = difference(*map(json.dumps, bodies)).splitlines()  # type: ignore[arg-type]
    assert place == "messages[0].content[0].image_url"
    assert was.startswith("- …") and was.endswith("… (3,000,007 characters)")  # noqa: PT018 - one line
    assert "XXXX" in now
    assert len(now) < 140


def test_a_message_that_was_put_in_or_left_out_does_not_make_those_behind_it_differ() -> None:
    messages = [{"content": f"turn {number}"} for number in range(6)]
    without = {"messages": [*messages[:2], *messages[3:]]}
    assert difference(json.dumps({"messages": messages}), json.dumps(without)) == 'messages[2]\n- {"content": "turn 2"}'
    assert difference(json.dumps(without), json.dumps({"messages": messages})) == 'messages[2]\n+ {"content": "turn 2"}'


def test_a_difference_at_many_places_shows_the_first_of_them() -> None:
    one, other = ({str(number): number + more for number in range(30)} for more in (0, 1))
    lines = difference(json.dumps(one), json.dumps(other)).splitlines()
    assert lines[:3] == ["0", "- 0", "+ 1"]
    assert lines[-1] == "… and 22 more places"


@given(JSON, JSON)
def test_any_two_bodies_differ_somewhere_unless_they_are_the_same(one: Any, other: Any) -> None:
    texts = [canonical(json.dumps(each).encode()) for each in (one, other)]
    said = difference(*texts)
    assert bool(said) == (texts[0] != texts[1])
    assert len(said.splitlines()) <= 8 * 3 + 1


def test_bodies_that_are_no_json_or_nested_without_end_are_told_apart_too() -> None:
    assert difference("plain", "text") == '- "plain"\n+ "text"'
    deep = "[" * 100_000
    assert difference(deep, "[]").startswith("- ")
