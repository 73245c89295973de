"""Which step of one run is which of another: robust to steps that were inserted, left out, changed, moved, repeated."""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from rapidfuzz import fuzz, process
from rapidfuzz.distance import LCSseq

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GRAMS = (4, 16, 1)
"""Lengths of the stretches that are looked for, each only where the ones before it found nothing."""
_AT_ONCE = 25_000_000
"""Steps of one run times those of the other for which the longest common subsequence is taken without anchors."""
_AT_MOST = 400_000_000
"""The same where there are no anchors; beyond it the stretch is halved."""
_COMPARED = 4_096
"""The same for comparing every step with every other."""
_SIMILAR = 0.5

Window = tuple[int, int, int, int]


class Likeness(NamedTuple):
    """What a step is like, for when no other is the same."""

    masked: int
    """The same number means: the same but for numbers and ids."""
    rough: int
    """The same number means: the same kind of step in the same role."""
    kind: str
    role: str
    status: str
    text: str


class Steps(Protocol):
    """A run as it is aligned."""

    @property
    def exact(self) -> Sequence[int]:
        """For each step a number: the same for steps that are the same."""

    def likeness(self, row: int) -> Likeness:
        """Return what a step is like; asked only where no step is the same."""


class Pair(NamedTuple):
    """A step of one run and the one that it is in the other."""

    a: int
    b: int
    moved: bool
    similarity: float


def align(a: Steps, b: Steps) -> list[Pair]:
    """Return which step of `a` is which of `b`, in order of `a`; steps without a partner are left out.

    The same input gives the same pairs, and `align(b, a)` the same ones the other way round.
    """
    if list(a.exact) > list(b.exact):  # so that whatever is decided by order is decided alike
        return sorted(Pair(i, j, moved, similarity) for j, i, moved, similarity in _align(b, a))
    return sorted(_align(a, b))


def _align(a: Steps, b: Steps) -> Iterator[Pair]:
    exact = _slid(a.exact, b.exact)
    moved = _moved(a.exact, b.exact, exact)
    yield from (Pair(i, j, False, 1.0) for i, j in exact)
    yield from (Pair(i, j, True, 1.0) for i, j in moved)
    gone, come = {i for i, _ in moved}, {j for _, j in moved}
    for a0, a1, b0, b1 in gaps(exact, len(a.exact), len(b.exact)):
        rest_a = [i for i in range(a0, a1) if i not in gone]
        rest_b = [j for j in range(b0, b1) if j not in come]
        if rest_a and rest_b:
            like_a, like_b = [a.likeness(i) for i in rest_a], [b.likeness(j) for j in rest_b]
            yield from (Pair(rest_a[i], rest_b[j], False, similar) for i, j, similar in _alike(like_a, like_b))


def _alike(a: Sequence[Likeness], b: Sequence[Likeness]) -> Iterator[tuple[int, int, float]]:
    """Yield the steps that are most alike: in long stretches first what differs in numbers only, then by kind."""
    stretches: list[Window] = [(0, len(a), 0, len(b))]
    for level in ("masked", "rough"):
        later: list[Window] = []
        for a0, a1, b0, b1 in stretches:
            if (a1 - a0) * (b1 - b0) <= _COMPARED:
                later.append((a0, a1, b0, b1))
                continue
            found = common([getattr(one, level) for one in a[a0:a1]], [getattr(one, level) for one in b[b0:b1]])
            yield from ((a0 + i, b0 + j, similarity(a[a0 + i], b[b0 + j])) for i, j in found)
            within = gaps(found, a1 - a0, b1 - b0)
            later += [(a0 + x0, a0 + x1, b0 + y0, b0 + y1) for x0, x1, y0, y1 in within]
        stretches = later
    for a0, a1, b0, b1 in stretches:
        if 0 < (a1 - a0) * (b1 - b0) <= _COMPARED:
            yield from ((a0 + i, b0 + j, similar) for i, j, similar in _most_alike(a[a0:a1], b[b0:b1]))


def common(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return pairs of equal items in order: the longest common subsequence, anchored at rare stretches if it is long.

    >>> common("abcd", "acd")
    [(0, 0), (2, 1), (3, 2)]
    """
    pairs: list[tuple[int, int]] = []
    windows: list[Window] = [(0, len(a), 0, len(b))]
    while windows:
        a0, a1, b0, b1 = windows.pop()
        while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
            pairs.append((a0, b0))
            a0, b0 = a0 + 1, b0 + 1
        while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
            a1, b1 = a1 - 1, b1 - 1
            pairs.append((a1, b1))
        if a0 < a1 and b0 < b1:
            windows += _divided(a, b, (a0, a1, b0, b1), pairs)
    return sorted(pairs)


def _divided(
    a: Sequence[Hashable], b: Sequence[Hashable], window: Window, pairs: list[tuple[int, int]]
) -> list[Window]:
    """Add what is common in a window to the pairs, or return smaller windows that it falls into."""
    a0, a1, b0, b1 = window
    size = (a1 - a0) * (b1 - b0)
    if size > _AT_ONCE:
        for length in _GRAMS:
            anchors = _anchors(a, b, window, length)
            if anchors:
                edges = [(a0, b0), *anchors, (a1, b1)]
                # An anchor begins the window after it, where it is found again as an equal beginning.
                return [(x0, x1, y0, y1) for (x0, y0), (x1, y1) in itertools.pairwise(edges)]
    if size > _AT_MOST:
        half_a, half_b = (a0 + a1) // 2, (b0 + b1) // 2
        return [(a0, half_a, b0, half_b), (half_a, a1, half_b, b1)]
    for block in LCSseq.opcodes(list(a[a0:a1]), list(b[b0:b1])):
        if block.tag == "equal":
            starts = range(block.src_end - block.src_start)
            pairs += [(a0 + block.src_start + at, b0 + block.dest_start + at) for at in starts]
    return []


def _anchors(a: Sequence[Hashable], b: Sequence[Hashable], window: Window, length: int) -> list[tuple[int, int]]:
    """Return where stretches begin that occur once in either run, the most of them that come in the same order."""
    a0, a1, b0, b1 = window
    in_a, in_b = _once(a, a0, a1, length), _once(b, b0, b1, length)
    places = [(i, in_b[gram]) for gram, i in in_a.items() if gram in in_b]
    tails: list[int] = []
    at_tail: list[int] = []
    before = [-1] * len(places)
    for number, (_, j) in enumerate(places):  # patience sorting: the longest increasing subsequence
        rank = bisect.bisect_left(tails, j)
        if rank == len(tails):
            tails.append(j)
            at_tail.append(number)
        else:
            tails[rank], at_tail[rank] = j, number
        before[number] = at_tail[rank - 1] if rank else -1
    chosen = []
    number = at_tail[-1] if at_tail else -1
    while number >= 0:
        chosen.append(places[number])
        number = before[number]
    return chosen[::-1]


def _once(items: Sequence[Hashable], start: int, stop: int, length: int) -> dict[Hashable, int]:
    """Return the stretches that occur once, with their places, in order."""
    grams = list(zip(*(items[start + shift : stop] for shift in range(length)), strict=False))
    counts = Counter(grams)
    return {gram: start + place for place, gram in enumerate(grams) if counts[gram] == 1}


def _slid(a: Sequence[int], b: Sequence[int]) -> list[tuple[int, int]]:
    """Return what is common, where of several equal steps the later ones count as inserted or left out."""
    pairs = common(a, b)
    for at in range(len(pairs)):
        i, j = pairs[at]
        before_a, before_b = pairs[at - 1] if at else (-1, -1)
        if i == before_a + 1 and j > before_b + 1 and b[before_b + 1] == b[j]:
            pairs[at] = (i, before_b + 1)
        elif j == before_b + 1 and i > before_a + 1 and a[before_a + 1] == a[i]:
            pairs[at] = (before_a + 1, j)
    return pairs


def gaps(pairs: Sequence[tuple[int, int]], n: int, m: int) -> Iterator[Window]:
    """Yield what lies between pairs in order, where either side has something: from and to of one, and of the other."""
    a0 = b0 = 0
    for i, j in [*pairs, (n, m)]:
        if i > a0 or j > b0:
            yield a0, i, b0, j
        a0, b0 = i + 1, j + 1


def _moved(a: Sequence[int], b: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the steps that are elsewhere in the other run: what is left once in either, and equal ones beside it."""
    paired_a, paired_b = {i for i, _ in pairs}, {j for _, j in pairs}
    left_a = {i for i in range(len(a)) if i not in paired_a}
    left_b = {j for j in range(len(b)) if j not in paired_b}
    count_a, count_b = Counter(a[i] for i in left_a), Counter(b[j] for j in left_b)
    place = {b[j]: j for j in left_b}
    moved = [(i, place[a[i]]) for i in sorted(left_a) if count_a[a[i]] == 1 and count_b[a[i]] == 1]
    left_a -= {i for i, _ in moved}
    left_b -= {j for _, j in moved}
    for step in (1, -1):
        for i, j in moved:  # those that are added are looked at too
            beside = i + step, j + step
            if beside[0] in left_a and beside[1] in left_b and a[beside[0]] == b[beside[1]]:
                left_a.discard(beside[0])
                left_b.discard(beside[1])
                moved.append(beside)
    return moved


def similarity(one: Likeness, other: Likeness) -> float:
    """Return how alike two steps are, 0 to 1; 0 for steps of different kinds."""
    return round(float(_similarities([one], [other])[0, 0]), 3)


def _similarities(a: Sequence[Likeness], b: Sequence[Likeness]) -> NDArray[np.float64]:
    def same(field: str) -> NDArray[np.bool_]:
        of_a, of_b = ([getattr(one, field) for one in of] for of in (a, b))
        return np.array([[x == y for y in of_b] for x in of_a], bool)

    texts = process.cdist([one.text for one in a], [one.text for one in b], scorer=fuzz.ratio) / 100.0
    # Any two texts share some letters: what is below a half says nothing, and the earlier of two such steps is taken.
    scores = 0.5 * same("role") + 0.2 * same("status") + 0.3 * np.clip(texts * 2 - 1, 0.0, 1.0)
    scores = np.where(same("masked"), np.maximum(scores, 0.95), scores)
    return np.asarray(np.where(same("kind"), scores, 0.0), np.float64)


def _most_alike(a: Sequence[Likeness], b: Sequence[Likeness]) -> Iterator[tuple[int, int, float]]:
    """Yield the pairs of two stretches, in order, that are most alike in sum."""
    scores = _similarities(a, b)
    scores[scores < _SIMILAR] = 0.0
    best = np.zeros((len(a) + 1, len(b) + 1))
    for row, gains in enumerate(scores):
        best[row + 1, 1:] = np.maximum.accumulate(np.maximum(best[row, 1:], best[row, :-1] + gains))
    row, column = len(a), len(b)
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            yield row, column, round(float(scores[row, column]), 3)
