"""What can go wrong, named by the fact. Catch `PeekError` to catch all of it."""

from __future__ import annotations


class PeekError(Exception):
    """One sentence that says what happened and what to do next.

    In a notebook it is shown as that sentence, without a stack.
    """

    def _render_traceback_(self) -> list[str]:
        """IPython asks exceptions for their own rendering: the sentence is all a reader needs."""
        return [f"{type(self).__name__}: {self}"]


class PeekWarning(UserWarning):
    """Something you should know about how it is recorded."""


class ClusterNotFound(PeekError):
    """No cluster of failures has this id or name."""


class SessionNotFound(PeekError, LookupError):
    """No recorded session answers to the reference."""


class SessionOpen(PeekError):
    """The session is still being recorded."""


class EventNotFound(PeekError, LookupError):
    """No recorded event has the id."""


class QueryError(PeekError, ValueError):
    """The query cannot be read; the message points at the word."""


class LoadError(PeekError, ValueError):
    """A file to load is not what it should be; the message names file, line and what was expected."""


class StoreLocked(PeekError):
    """Another process holds the store's write lock for too long. What was recorded meanwhile is safe in the journal."""


class StoreUnreadable(PeekError):
    """The file is not a Peaky Peek store, or one of a newer version. It was left untouched."""


class RunStopped(PeekError):
    """A run is ended because its user said what it may do: the two children say what it did."""


class BudgetExceeded(RunStopped):
    """A run has spent what `pp.init(max_cost_usd=..., on_limit="raise")` allows; no further model call starts."""


class LoopDetected(RunStopped):
    """A run told to `stop_on="loop"` repeats itself without anything new; no further model or tool call starts."""


class NotOnTape(PeekError, LookupError):
    """Something is asked for that the recording that is played has no answer to; the message shows the difference."""


class NotRestorable(PeekError):
    """What is to be restored was not recorded, or not as what it is to be; the message names it."""


class ProgramNotFound(PeekError, LookupError):
    """What `jupyter peek run` should run is no program."""


class NotInstalled(PeekError, ImportError):
    """Something is asked for that needs a library that is not installed; the message says which."""


class StoreReadOnly(PeekError):
    """The store's folder cannot be written."""


class SubinterpreterRefused(PeekError, ImportError):
    """Peaky Peek was imported in a subinterpreter, where the extension modules that it needs cannot be loaded."""
