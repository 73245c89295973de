"""Says whether everything is in place: the store, what waits to enter it, the widgets, and what can show them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import peaky_peek
from peaky_peek import widgets
from peaky_peek.errors import PeekError
from peaky_peek.store import Database, journal
from peaky_peek.widgets._text import count

_LIBRARIES = ("ipython", "ipykernel", "anywidget", "ipywidgets", "pandas", "openai")
_TABLES = ("sessions", "events", "unreadable")
_FRONT_ENDS = ("jupyterlab", "notebook", "marimo")


class Finding(NamedTuple):
    """A fact, and what is wrong with it and what to do, as a sentence."""

    about: str
    fact: str
    problem: str | None = None


def lines(db: Database) -> Iterator[str]:
    """Yield what is found, a line for each fact.

    Raises:
        PeekError: at the end, with a sentence for each problem.
    """
    findings = [_versions(), *_store(db), _widgets(), _front_ends()]
    for finding in findings:
        yield f"{finding.about:<12}{finding.fact}"
    problems = [finding.problem for finding in findings if finding.problem]
    if problems:
        raise PeekError("\n".join(problems))


def _versions() -> Finding:
    own = f"Peaky Peek {peaky_peek.__version__}, Python {platform.python_version()}"
    return Finding("versions", ", ".join([own, *_installed(_LIBRARIES)]))


def _store(db: Database) -> Iterator[Finding]:
    if not db.path.exists():
        folder = next(parent for parent in db.path.parents if parent.exists())
        yield _place(db, "made when something is recorded", os.access(folder, os.W_OK | os.X_OK))
        return
    try:
        connection = db.connection()
        tables = (connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES)  # noqa: S608
        sessions, events, unreadable = tables
        offsets = dict(connection.execute("SELECT name, offset FROM journals"))
    except PeekError as error:
        yield Finding("store", f"{db.path} (cannot be read)", str(error))
        return
    is_writable = not db.read_only and os.access(db.path.parent, os.W_OK | os.X_OK)
    yield _place(db, "writable" if is_writable else "read-only", is_writable)
    megabytes = db.path.stat().st_size / 1e6
    yield Finding("holds", f"{count(sessions, 'session')}, {count(events, 'event')}, {megabytes:,.1f} MB")
    yield _journals(db, offsets)
    if unreadable:
        problem = "What could not be read is kept in the store's table `unreadable`, with reasons."
        yield Finding("unreadable", count(unreadable, "record"), problem)


def _place(db: Database, state: str, is_writable: bool) -> Finding:
    problem = f"{db.path} cannot be written: set PEAKY_PEEK_DB to another path, or see to its folder's permissions."
    return Finding("store", f"{db.path} ({state})", None if is_writable else problem)


def _journals(db: Database, offsets: dict[str, int]) -> Finding:
    segments = [path for folder in db.journal_folders for path in journal.segments(folder)]
    waiting = sum(max(path.stat().st_size - offsets.get(path.name, journal.START), 0) for path in segments)
    return Finding(
        "journals", f"{count(len(segments), 'segment')}, {count(waiting, 'byte')} for the next reader to take in"
    )


def _widgets() -> Finding:
    scripts = sorted((Path(widgets.__file__).parent / "static").glob("*.js"))
    if not scripts:
        return Finding("widgets", "not built", "The widgets were never built: reinstall peaky-peek-jupyter.")
    return Finding("widgets", ", ".join(f"{script.stem} ({script.stat().st_size / 1024:.0f} KB)" for script in scripts))


def _front_ends() -> Finding:
    found = _installed(_FRONT_ENDS)
    return Finding("front ends", ", ".join(found) or "none in this environment (VS Code and others bring their own)")


def _installed(names: tuple[str, ...]) -> list[str]:
    found = {name for name in names if any(metadata.distributions(name=name))}
    return [f"{name} {metadata.version(name)}" for name in names if name in found]
