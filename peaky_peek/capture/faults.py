"""Our own faults: counted, logged once each, never raised into the user's code.

With `PEAKY_PEEK_STRICT=1` they are raised instead; our tests run that way.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

strict = os.environ.get("PEAKY_PEEK_STRICT") == "1"
counts: Counter[str] = Counter()
"""How often each fault happened in this process."""


def report(error: BaseException) -> None:
    """Count a fault of ours, and log it the first time it happens.

    Raises:
        BaseException: the fault itself, in strict mode.
    """
    if strict:
        raise error
    what = f"{type(error).__name__}: {error}"[:500]
    counts[what] += 1
    if counts[what] == 1:
        import logging

        logging.getLogger("peaky_peek").warning("could not record: %s (said once; pp.status() counts them)", what)


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """Make a function of ours report its faults and return None, whatever happens in it."""

    @functools.wraps(function)
    def safe(*args: Any, **kwargs: Any) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the agent never notices
            report(error)
            return None

    return safe
