"""What is not as it should be with a store and its journals, each thing in a sentence that says what to do."""

from __future__ import annotations

from peaky_peek.errors import PeekError
from peaky_peek.store import journal
from peaky_peek.store.database import Database
from peaky_peek.store.filesystem import Mode


def sentences(db: Database) -> list[str]:
    """Return the sentences; none when all is well. Makes no store and takes nothing in."""
    found = []
    if db.exists():
        try:
            found += _kept_unread(db)
        except PeekError as error:
            found.append(str(error))
    return found + _left_alone(db)


def notices(db: Database) -> list[str]:
    """Return the sentences, and how the file is used if it is not the usual way."""
    found = sentences(db)
    return [*filter(None, [way(db)]), *found]


def way(db: Database) -> str | None:
    """Return how the file is used where it lies, unless it is the usual way."""
    return None if db.mode in (None, Mode.WAL) else f"{db.path} is used {db.mode.value}."


def damage(db: Database) -> str | None:
    """Return what SQLite finds wrong with the file; it reads all of it."""
    (verdict,) = db.connection().execute("PRAGMA quick_check(1)").fetchone()
    return (
        None
        if verdict == "ok"
        else f"{db.path} is damaged ({verdict.splitlines()[-1]}): see docs/durability.md for what to do."
    )


def _kept_unread(db: Database) -> list[str]:
    (count,) = db.connection().execute("SELECT count(*) FROM unreadable").fetchone()
    if not count:
        return []
    what = "1 stretch of a journal" if count == 1 else f"{count:,} stretches of journals"
    return [f"{what} could not be read: kept in the store's table `unreadable`, with the reasons."]


def _left_alone(db: Database) -> list[str]:
    newer, closed = [], []
    for path in db.segments():
        try:
            if journal.version_of(path) > journal.VERSION:
                newer.append(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            closed.append(f"{path} cannot be read ({error.strerror}): see to its permissions, or delete it.")
    if newer:
        what = f"{newer[0]} was" if len(newer) == 1 else f"{len(newer)} journals in {newer[0].parent} were"
        closed.append(f"{what} written by a newer Peaky Peek and waits for it: upgrade peaky-peek-jupyter.")
    return closed
