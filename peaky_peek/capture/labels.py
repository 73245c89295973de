"""Says afterwards whether runs were good."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from peaky_peek import store
from peaky_peek.capture import context
from peaky_peek.errors import PeekError
from peaky_peek.store.sessions import resolve_many

if TYPE_CHECKING:
    from peaky_peek.store.database import Database


def label(
    sessions: Any, *, outcome: str | None = None, score: float | None = None, tags: Iterable[str] | None = None,
    note: str | None = None,
) -> int:  # fmt: skip
    """Label recorded sessions, and return how many.

    What is not given stays as it is; `tags` replaces the tags.

    Args:
        sessions: a session reference, or several: a list, a frame, a mask or a query.
        outcome: "pass", "fail" or a word of yours.
        score: how good it was.
        tags: labels.
        note: what you want to remember.

    Raises:
        SessionNotFound: if a reference does not resolve.
    """
    labels = None if tags is None else context.tag_list(tags)
    fields = {"outcome": outcome, "score": score, "tags": labels, "note": note}
    given = {key: value for key, value in fields.items() if value is not None}
    database = store.current()
    database.ingest()
    ids = resolve_many(sessions, database)
    for session_id in ids:
        context.note(session_id, given)
    return len(ids)


def label_one(session_id: str, database: Database, outcome: str | None) -> None:
    """Say of one session whether it was good; None takes back what was said.

    Raises:
        PeekError: if it is not in the store in use, which is the only one that is written to.
    """
    if database.path != store.current().path:
        raise PeekError(f"This session is in {database.path}: choose it with pp.init(db=...) to label it.")
    context.note(session_id, {"outcome": outcome})
