"""What a user may ask to have redacted, and the redactor that does it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from peaky_peek.capture.redaction import Redactor

Wish = Literal["secrets", "pii"] | re.Pattern[str] | Callable[[str], str]
Redact = Wish | list[Wish] | None


def redactor_for(redact: Any, key: Callable[[], bytes]) -> Redactor:
    """Return the redactor that `pp.init(redact=...)` asks for.

    Raises:
        ValueError: if it is none of the forms.
    """
    if redact is None:
        return Redactor(None, key=key)
    wishes = redact if isinstance(redact, (list, tuple)) else [redact]
    patterns = [wish for wish in wishes if isinstance(wish, re.Pattern) and isinstance(wish.pattern, str)]
    functions = [wish for wish in wishes if callable(wish)]
    words = [wish for wish in wishes if wish in ("secrets", "pii")]
    if not wishes or len(patterns) + len(functions) + len(words) != len(wishes):
        raise ValueError(
            'redact is "secrets", "pii", a compiled pattern of text, a function, a list of these, or None,'
            f" not {redact!r}."
        )
    if words == ["secrets"] * len(wishes):
        return Redactor(key=key)
    from peaky_peek.capture.redaction.custom import CustomRedactor  # most never need what it has to load

    return CustomRedactor(key=key, pii="pii" in words, patterns=patterns, functions=functions)
