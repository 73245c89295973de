"""The store: one SQLite file, the journals beside it, and the way to the one in use.

| idea | modules |
|---|---|
| the journal | `journal` `records` `processes` |
| the SQLite file | `database` `connection` `schema` |
| what its file system can do | `filesystem` `lockfile` |
| from the journal into the file | `writer` `ingestion` `batch` `exchange_records` |
| what is read | `reader` `calls` `exchanges` `columns` `dtypes` `tail` `html` `bulk` |
| what is meant | `sessions` `query` `search` `started` |
| care | `deletion` `health` `memory` `notices` |
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path

from peaky_peek.store.database import Database

__all__ = ["Database", "chosen", "current", "default_path", "use"]

_current: Database | None = None
_chosen = False


def current() -> Database:
    """Return the store in use: what `use` chose, else `PEAKY_PEEK_DB`, else `peek.db` in the user's data folder."""
    global _current
    if _current is None:
        _current = Database(os.environ.get("PEAKY_PEEK_DB") or default_path())
    return _current


def use(path: str | os.PathLike[str] | None) -> Database:
    """Make the file at `path` the store in use (None: the default one) and return it."""
    global _current, _chosen
    wanted = None if path is None else Database(path)
    if wanted is None or _current is None or wanted.path != _current.path:
        _current = wanted
    _chosen = path is not None
    return current()


def chosen() -> bool:
    """Tell whether `use` chose the store, rather than the environment."""
    return _chosen


def default_path() -> Path:
    """Return where recordings go unless told otherwise."""
    import platformdirs

    return platformdirs.user_data_path("peaky_peek", appauthor=False) / "peek.db"


def _after_fork() -> None:
    if _current is not None:
        _current.after_fork()


def _at_exit() -> None:
    if _current is not None:
        _current.close()


atexit.register(_at_exit)  # runs after the recorder's own, which is registered later
os.register_at_fork(after_in_child=_after_fork)
