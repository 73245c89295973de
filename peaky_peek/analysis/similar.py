"""Which templates say nearly the same: groups that do not depend on chance, found without comparing all with all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from rapidfuzz.distance import Indel

ALIKE = 0.7
"""Of the words of two templates, how many they must share to be one."""

_WORD = re.compile(r"[^\W\d_]+")
_SAYS_NOTHING = frozenset(
    "a an and at be been by for from has have in is it of on or that the this to was were with".split()
)
_ENDING = re.compile(r"(?<=[^\W\d_]{3})(?:ing|ed|es|s|d)$")
_MOST_COMPARED = 256


class Alike:
    """Finds the earlier template that says nearly the same as a new one; each is compared with a few of the others.

    >>> alike = Alike()
    >>> [alike.first(words) for words in ("no answer from the shop", "the shop gave no answer", "user not found")]
    [0, 0, 2]
    """

    def __init__(self) -> None:
        self._added = 0
        self._words: dict[int, list[str]] = {}
        self._with: dict[str, list[int]] = {}

    def first(self, template: str) -> int:
        """Return the number of the earliest template that this one is like the most; its own if it is like none."""
        words = _words(template)
        best, likeness = self._added, 0.0
        for other in self._candidates(words):
            found = Indel.normalized_similarity(words, self._words[other], score_cutoff=ALIKE)
            if found > likeness:
                best, likeness = other, found
        if best == self._added:
            self._keep(words)
        self._added += 1
        return best

    def add(self, template: str) -> None:
        """Take a template that later ones may be like, whatever it is like itself."""
        self._keep(_words(template))
        self._added += 1

    def _keep(self, words: list[str]) -> None:
        self._words[self._added] = words
        for word in dict.fromkeys(words):
            self._with.setdefault(word, []).append(self._added)

    def _candidates(self, words: list[str]) -> Iterable[int]:
        """Return templates that share a word, those with rare ones first, in the order they came."""
        found: Counter[int] = Counter()
        for numbers in sorted((self._with.get(word, []) for word in dict.fromkeys(words)), key=len):
            if len(found) >= _MOST_COMPARED:
                break
            found.update(numbers[:_MOST_COMPARED])
        return sorted(found)


def _words(template: str) -> list[str]:
    """Return the words that say something, in alphabetical order and without their endings."""
    said = (word for word in _WORD.findall(template.casefold()) if word not in _SAYS_NOTHING)
    return sorted(_ENDING.sub("", word) for word in said)
