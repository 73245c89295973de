"""Values in what events say: numbers, ids, dates, addresses. Where one comes back, it came from somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from peaky_peek.encoding import as_text

_TOKEN = re.compile(r"""[-+$€£]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[^\s"'(){}\[\]<>,;=|`*!?\\]+""")
_NUMBER = re.compile(r"[-+$€£#]?(\d+(?:\.\d+)?)%?")
_WORD = re.compile(r"[^\W\d_]{4,}")
_STEM = 5
_COMMON = frozenset(
    "about after also always another because been before being between both cannot could does each every from have"
    " here however into just like more most much must need only other over please same should some such than that"
    " their them then there these they this those through true false under until very want were what when where which"
    " while will with within without would your yours none null".split()
)
_LONGEST = 120  # characters of a value: what is longer is a text
_SMALLEST = 100  # whole numbers below are counts and turn up everywhere


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text and number in a JSON value as text, keys left out, in order; however deep it is."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            stack += reversed(one.values())
        elif isinstance(one, (list, tuple)):
            stack += reversed(one)
        elif isinstance(one, (int, float)) and not isinstance(one, bool):
            yield as_text(one)


def values_in(value: Any) -> list[str]:
    """Return the values that a JSON value tells, each once, in order: `84.50` and `84.5` are the same one.

    Example:
        >>> values_in({"order": "A-1042", "text": "84.50 EUR are on their way to ada@work.example."})
        ['A-1042', '84.5', 'ada@work.example']
    """
    found = dict.fromkeys(told for text in texts_in(value) for token in _TOKEN.findall(text) if (told := _value(token)))
    return list(found)


def words_in(text: str) -> set[str]:
    """Return the beginnings of the words of a text that say something: `salary` and `salaries` begin alike.

    Example:
        >>> sorted(words_in("The salaries of the team"))
        ['salar', 'team']
    """
    return {word[:_STEM] for word in _WORD.findall(text.lower()) if word not in _COMMON}


def _value(token: str) -> str | None:
    token = token.strip(".:-/")
    if not 2 < len(token) <= _LONGEST:
        return None
    number = _NUMBER.fullmatch(token.replace(",", ""))
    if number:
        amount = float(number[1])
        return None if amount.is_integer() and amount < _SMALLEST else f"{amount:.12g}"
    return token if "@" in token or any(map(str.isdigit, token)) else None
