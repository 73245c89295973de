"""What the doctor finds."""

from __future__ import annotations

from importlib import metadata
from typing import NamedTuple


class Finding(NamedTuple):
    """A fact, and what is wrong with it and what to do, as a sentence."""

    about: str
    fact: str
    problem: str | None = None


def version(distribution: str) -> str | None:
    """Return the version that is installed, None if none is."""
    return metadata.version(distribution) if any(metadata.distributions(name=distribution)) else None
