"""The failure tests at length: `make soak`. Each module `soak_*.py` has `scenarios()`; the tests run them in short."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Scenario(NamedTuple):
    """Something that may go wrong while an agent is recorded, and what must hold all the same.

    `run` takes a seed that decides everything left to chance, and raises an AssertionError when the promise is broken.
    """

    name: str
    run: Callable[[int], None]
