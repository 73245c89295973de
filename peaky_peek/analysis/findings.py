"""What a rule of the diagnosis finds: an event that may be to blame, and what speaks for and against it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from peaky_peek.encoding import as_text, encode
from peaky_peek.events import Event

_LONGEST = 140
_DENIES = re.compile(
    r"\b(?:not|no|never|nothing|cannot|can't|couldn't|could not|unable|failed|failure|error|unfortunately|sorry but)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One possible cause."""

    event: Event
    mechanism: str
    """What kind of mistake it is, in a few fixed words."""
    score: float
    """0 to 1: how strong the evidence is, before it is asked how the event led to the symptom."""
    because: list[tuple[Event, str]]
    """The evidence: events, and what each shows."""
    against: str
    """What speaks against it."""
    next_step: str
    """What to do to make sure, or to mend it."""
    confidence: str | None = None
    """Where it was measured how often the rule is right; None where `score` says it."""
    shows: Event | None = field(default=None)
    """Where it surfaces, if the rule itself tells."""


def brief(value: Any) -> str:
    """Return a value as one short line."""
    text = value if isinstance(value, str) else encode(value).decode(errors="replace")
    text = " ".join(as_text(text).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def quoted(text: str) -> str:
    """Return a text as one short line in quotation marks."""
    return f"“{brief(text)}”"


def denies(text: str) -> bool:
    """Tell whether a text says that something did not happen."""
    return _DENIES.search(text) is not None
