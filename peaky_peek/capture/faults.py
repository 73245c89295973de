"""Our own faults: counted, logged once each, never raised into the user's code.

With `PEAKY_PEEK_STRICT=1` they are raised instead; our tests run that way.
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from peaky_peek.interrupts import is_interrupt, text

__all__ = ["clean", "counted", "counts", "guarded", "note", "report", "said", "strict", "text"]
P = ParamSpec("P")
R = TypeVar("R")

strict = os.environ.get("PEAKY_PEEK_STRICT") == "1"
counts: Counter[str] = Counter()
"""How often each kind of fault happened in this process, by what the first of its kind said."""
clean: Callable[[str], str] = str
"""Takes secrets out of what a fault says; the recorder sets it."""
_KINDS = 100
_untold = 0
_first: dict[str, str] = {}
"""What the first fault of each kind said, by its fingerprint."""
_PARTICULAR = re.compile(r"""'[^']*'|"[^"]*"|(?:/[^\s/:,'"]+){2,}|\b\w*\d[\w.-]*""")
"""What differs between faults of one kind: quotes, paths, numbers and ids."""


def report(error: BaseException) -> None:
    """Count a fault of ours, and log it the first time it happens.

    Raises:
        BaseException: what is the application's and only happened to arrive here; in strict mode any fault.
    """
    global _untold
    try:
        is_fault = not strict and not is_interrupt(error)
        if is_fault:
            _note("could not record", error)
    except RecursionError:  # too deep to find words; to count is not too much
        _untold += 1
        return
    except Exception:  # noqa: BLE001 - hostile exceptions, the application's own log handlers, the end of the process
        return
    if not is_fault:
        raise error


def counted() -> dict[str, int]:
    """Return how often each kind of fault happened, those at the limit of a recursion too."""
    global _untold
    if _untold:
        counts["RecursionError: too deep to be told"] += _untold
        _untold = 0
    return dict(counts)


def note(trouble: str, error: BaseException) -> None:
    """Count what went wrong, and log it the first time it happens."""
    try:
        _note(trouble, error)
    except Exception:  # noqa: BLE001 - as above
        return


def _note(trouble: str, error: BaseException) -> None:
    saying = _cleaned(said(error))[:500]
    fingerprint = _PARTICULAR.sub("…", saying)
    if fingerprint not in _first and len(_first) >= _KINDS:
        fingerprint = saying = "others"
    what = _first.setdefault(fingerprint, saying)
    counts[what] += 1
    import logging

    log = logging.getLogger("peaky_peek")
    if counts[what] == 1:
        log.warning("%s: %s (said once; pp.status() counts them)", trouble, what)
    if log.isEnabledFor(logging.DEBUG):
        import traceback

        log.debug("%s: %s", trouble, _cleaned("".join(traceback.format_exception(error))))


def _cleaned(told: str) -> str:
    try:
        return clean(told)
    except Exception:  # noqa: BLE001 - what cannot be cleaned is not said
        return "a fault that cannot be told without secrets"


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
