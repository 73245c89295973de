"""Says whether everything is in place: the store, what waits to enter it, the widgets, what shows them, the hooks."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import peaky_peek
from peaky_peek import widgets
from peaky_peek.cli import hooks
from peaky_peek.cli.findings import Finding, version
from peaky_peek.errors import PeekError
from peaky_peek.store import Database, health, journal
from peaky_peek.widgets._text import count

_LIBRARIES = ("ipython", "ipykernel", "anywidget", "ipywidgets", "pandas")
_FRONT_ENDS = ("jupyterlab", "notebook", "marimo")


def lines(db: Database) -> Iterator[str]:
    """Yield what is found, a line for each fact.

    Raises:
        PeekError: at the end, with a sentence for each problem.
    """
    findings = [_versions(), *_store(db), _widgets(), _front_ends(), *hooks.findings()]
    for finding in findings:
        yield f"{finding.about:<12}{finding.fact}"
    problems = dict.fromkeys(line for finding in findings for line in (finding.problem or "").splitlines())
    if problems:
        raise PeekError("\n".join(problems))


def _versions() -> Finding:
    own = f"Peaky Peek {peaky_peek.__version__}, Python {platform.python_version()}"
    return Finding("versions", ", ".join([own, *_installed(_LIBRARIES)]))


def _store(db: Database) -> Iterator[Finding]:
    if not db.exists():
        folder = next(parent for parent in db.path.parents if parent.exists())
        yield _place(db, "made when something is recorded", os.access(folder, os.W_OK | os.X_OK))
        if db.segments():
            yield _journals(db, {})
        return
    try:
        connection = db.connection()
        (sessions,), (events,) = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
            for table in ("sessions", "events")
        )
        offsets = dict(connection.execute("SELECT name, offset FROM journals"))
        damage = health.damage(db)
    except PeekError as error:
        yield Finding("store", f"{db.path} (cannot be read)", str(error))
        yield _journals(db, {})
        return
    is_writable = not db.read_only and os.access(db.path.parent, os.W_OK | os.X_OK)
    yield _place(db, "writable" if is_writable else "read-only", is_writable)
    if way := health.way(db):
        yield Finding("", way)
    megabytes = db.path.stat().st_size / 1e6
    yield Finding("holds", f"{count(sessions, 'session')}, {count(events, 'event')}, {megabytes:,.1f} MB", damage)
    yield _journals(db, offsets)


def _place(db: Database, state: str, is_writable: bool) -> Finding:
    problem = f"{db.path} cannot be written: set PEAKY_PEEK_DB to another path, or see to its folder's permissions."
    return Finding("store", f"{db.path} ({state})", None if is_writable else problem)


def _journals(db: Database, offsets: dict[str, int]) -> Finding:
    waiting = number = 0
    for path in db.segments():
        with suppress(FileNotFoundError):  # taken in meanwhile
            waiting += max(path.stat().st_size - offsets.get(path.name, journal.START), 0)
            number += 1
    fact = f"{count(number, 'segment')}, {count(waiting, 'byte')} for the next reader to take in"
    return Finding("journals", fact, "\n".join(health.sentences(db)) or None)


def _widgets() -> Finding:
    scripts = sorted((Path(widgets.__file__).parent / "static").glob("*.js"))
    if not scripts:
        return Finding("widgets", "not built", "The widgets were never built: reinstall peaky-peek-jupyter.")
    return Finding("widgets", ", ".join(f"{script.stem} ({script.stat().st_size / 1024:.0f} KB)" for script in scripts))


def _front_ends() -> Finding:
    found = _installed(_FRONT_ENDS)
    return Finding("front ends", ", ".join(found) or "none in this environment (VS Code and others bring their own)")


def _installed(names: tuple[str, ...]) -> list[str]:
    return [f"{name} {found}" for name in names if (found := version(name))]
