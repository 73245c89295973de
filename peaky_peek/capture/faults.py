"""Our own faults: counted, logged once each, never raised into the user's code.

With `PEAKY_PEEK_STRICT=1` they are raised instead; our tests run that way.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from peaky_peek.errors import BudgetExceeded

P = ParamSpec("P")
R = TypeVar("R")

strict = os.environ.get("PEAKY_PEEK_STRICT") == "1"
counts: Counter[str] = Counter()
"""How often each fault happened in this process."""
clean: Callable[[str], str] = str
"""Takes secrets out of what a fault says; the recorder sets it."""


def report(error: BaseException) -> None:
    """Count a fault of ours, and log it the first time it happens.

    Raises:
        BaseException: the fault itself, in strict mode; and what is no fault: the user's own limit was reached.
    """
    if strict or isinstance(error, BudgetExceeded):
        raise error
    note("could not record", said(error))


def note(trouble: str, what: str) -> None:
    """Count what went wrong, and log it the first time it happens."""
    try:
        what = clean(what)[:500]
    except Exception:  # noqa: BLE001 - what cannot be cleaned is not said
        what = "a fault that cannot be told without secrets"
    counts[what] += 1
    if counts[what] == 1:
        with suppress(Exception):  # handlers and filters are the application's, and there is no import at its end
            import logging

            logging.getLogger("peaky_peek").warning("%s: %s (said once; pp.status() counts them)", trouble, what)


def text(value: object) -> str:
    """Return `str(value)`, or the name of its type if it resists."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a hostile object
        return type(value).__name__


def said(error: BaseException) -> str:
    """Return an exception as one line: its type, and what it says."""
    return f"{type(error).__name__}: {text(error)}"


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
