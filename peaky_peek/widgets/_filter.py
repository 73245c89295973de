"""Which steps a filter lets through: a query, a mask, or a function of the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from peaky_peek import steps
from peaky_peek.errors import QueryError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from peaky_peek.widgets._recording import Recording

Filter = str | Callable[[pd.DataFrame], Any] | Any


def matches(wanted: Filter, recording: Recording) -> NDArray[np.bool_]:
    """Return one boolean per step.

    Args:
        wanted: a query; a mask over the steps or over `pp.events(session)`; or a function that is given the steps frame
            and returns such a mask. A step matches when its opening or its closing event does.
        recording: the session.

    Raises:
        QueryError: for a query that cannot be read, or a mask of another length or kind.
    """
    if isinstance(wanted, str):
        return steps.matching(recording.db, recording.steps, wanted)
    return _matching_mask(wanted(recording.steps.copy()) if callable(wanted) else wanted, recording)


def _matching_mask(mask: ArrayLike, recording: Recording) -> NDArray[np.bool_]:
    """Return a mask over steps as it is, and one over events by the steps they belong to."""
    given = mask if isinstance(mask, pd.Series) else pd.Series(np.atleast_1d(np.asarray(mask)))
    if not pd.api.types.is_bool_dtype(given.dtype):
        raise QueryError(
            f"A filter is a query, a boolean mask or a function that returns one, not {given.dtype} values."
        )
    wanted = given.to_numpy(bool, na_value=False)
    if len(wanted) == len(recording):
        return wanted
    ids = _events_in_order(recording)
    if len(wanted) != len(ids):
        expected = f"{len(recording)} values (steps) or {len(ids)} (events)"
        raise QueryError(f"The filter's mask has {len(wanted)} values, this session needs {expected}.")
    result = np.zeros(len(recording), bool)
    result[recording.rows_of(ids[at] for at in np.flatnonzero(wanted))] = True
    return result


def _events_in_order(recording: Recording) -> list[str]:
    """Return the ids of the session's events in the order of `pp.events`."""
    sql = "SELECT event_id FROM events WHERE session_id = ? ORDER BY position, rowid"
    session = recording.session.session_id if recording.session else ""
    return [row[0] for row in recording.db.connection().execute(sql, (session,))]
