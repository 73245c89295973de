"""`%peek`: what the functions of the package show, without the brackets."""

from __future__ import annotations

import re
import shlex
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class

import peaky_peek
from peaky_peek.capture import context
from peaky_peek.errors import PeekError
from peaky_peek.store.sessions import NOTHING_RECORDED

OF_A_SESSION = (
    "tree", "debugger", "replay", "why", "live", "timeline", "conversation", "safety", "session", "events", "llm_calls",
    "tool_calls", "decisions", "messages", "checkpoints", "failures", "alerts", "graph", "causes",
)  # fmt: skip
_OF_A_TEXT = ("sessions", "search", "clusters", "event", "load")
OF_TWO_SESSIONS = ("diff",)
_ALONE = ("status", "demo")
WORDS = (*OF_A_SESSION, *OF_TWO_SESSIONS, *_OF_A_TEXT, *_ALONE, "on", "off")
"""What may follow `%peek`; all but the last two are functions of the package."""


@magics_class
class PeekMagics(Magics):
    """The magics of the package."""

    @line_cell_magic
    def peek(self, line: str, cell: str | None = None) -> Any:
        """Look at what was recorded, or record a cell.

        In a line of its own:

            %peek                     the recorded sessions
            %peek tree refund_agent   the same as pp.tree("refund_agent"); without a name, of the newest session
            %peek sessions failed     the same as pp.sessions("failed")
            %peek clusters after:7d   the same as pp.clusters("after:7d"): what keeps failing
            %peek diff -2 -1          the same as pp.diff(-2, -1); names with blanks stand in quotes
            %peek off                 record nothing until %peek on

        and so on for what Tab offers after %peek.
        A session is meant by its name, its id, or its position (-1 is the newest); `{variables}` are filled in.

        At the top of a cell:

            %%peek [name] [--open] [-q] [--stop-on loop,cost]

        records the cell as a session and shows one line that opens to its decision tree. It opens by itself when the
        cell raises, and with --open; -q shows nothing. --stop-on ends an agent that goes in circles, or costs more than
        `pp.init(max_cost_usd=...)` allows.
        """
        if cell is None:
            return _shown(*line.split(None, 1))
        if self.shell is not None:  # called by hand: from a cell, the line was taken away before
            self.shell.run_cell(f"%%peek {line}\n{cell}")  # type: ignore[no-untyped-call]
        return None


def _shown(word: str | None = None, argument: str = "") -> Any:
    if word in OF_TWO_SESSIONS:
        return _compared(word, argument)
    argument = argument.strip().strip("\"'")
    if word is None:
        return _sessions()
    if word in ("on", "off") and not argument:
        context.paused = int(word == "off")
        return None
    if word not in WORDS or (argument and word not in OF_A_SESSION + _OF_A_TEXT):
        written = f"%peek {word} {argument}".strip()
        raise PeekError(f"There is no `{written}`: after %peek comes nothing, or one of {', '.join(WORDS)}.")
    show = getattr(peaky_peek, word)
    if not argument:
        return show()
    return show(_reference(argument) if word in OF_A_SESSION else argument)


def _compared(word: str, argument: str) -> Any:
    """Show what is asked of two sessions, or of one and the newest."""
    try:
        names = shlex.split(argument)
    except ValueError:  # a quote that is not closed
        names = argument.split()
    if len(names) > 2:
        raise PeekError(f"`%peek {word}` takes two sessions, {len(names)} are given: put names with blanks in quotes.")
    return getattr(peaky_peek, word)(*map(_reference, names))


def _reference(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _sessions() -> Any:
    frame = peaky_peek.sessions()
    if not frame.empty:
        return frame
    print(NOTHING_RECORDED)  # noqa: T201
    return None
