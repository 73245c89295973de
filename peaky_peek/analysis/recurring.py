"""The failures that a question is about, in clusters, and what a user decides about those: the store remembers it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from peaky_peek.analysis import clusters, failures
from peaky_peek.analysis.trends import Timeline
from peaky_peek.errors import ClusterNotFound, PeekError, SessionNotFound
from peaky_peek.store import dtypes, memory, query, reader
from peaky_peek.store.connection import many
from peaky_peek.store.query import Where
from peaky_peek.store.sessions import ALL, matching, resolve, resolve_many

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_OF_RUNS = ("after", "before", "task", "version", "tag", "outcome")
"""What a query may say that chooses runs: a trend is counted among those, also where nothing failed."""


class Recurring:
    """What fails, and how often.

    Args:
        db: the store.
        q: which failures: a query over them, or a reference to one or several sessions; None for all.
    """

    def __init__(self, db: Database, q: Any = None) -> None:
        self.db = db
        self.q = q
        db.ingest()
        self.runs, self.failures = self._read()
        self.runs_failed = int(self.failures["session_id"].nunique())
        self.timeline = Timeline(self.runs)
        self.form()

    def form(self) -> None:
        """Form the clusters anew, after a decision."""
        remembered = memory.recall(self.db)
        found = clusters.found_in(self.failures, remembered)
        self._named_by = self._founders(found, remembered)
        self._memory = remembered
        self.failures["cluster_id"] = clusters.assigned(self.failures, found, remembered)
        self.frame = self.clusters(self.failures)

    def clusters(self, members: pd.DataFrame) -> pd.DataFrame:
        """Return the clusters of some of the failures."""
        return clusters.clusters(members, self._named_by, self.timeline, self._memory)

    def cluster(self, cluster: str) -> str:
        """Return the id of a cluster, which may be told by its name, or by the beginning of its id.

        Raises:
            ClusterNotFound: naming the closest.
        """
        ids, names = self.frame["cluster_id"].tolist(), self.frame["name"].tolist()
        if cluster in ids:
            return cluster
        found = [one for one, name in zip(ids, names, strict=True) if name == cluster or one.startswith(cluster or " ")]
        if len(found) == 1:
            return str(found[0])
        if found:
            some = ", ".join(found[:3])
            raise ClusterNotFound(f"Several clusters are called {cluster!r}: give one of the ids {some}.")
        like = query.closest(cluster, names)
        hint = f"the closest is {like!r}" if like else "`.frame` lists them"
        raise ClusterNotFound(f"There is no cluster {cluster!r}: {hint}.")

    def rename(self, cluster: str, name: str) -> None:
        """Give a cluster a name; an empty one takes it away again."""
        memory.rename(self.db, self.cluster(cluster), " ".join(name.split()) or None)
        self.form()

    def merge(self, of: Iterable[str]) -> str:
        """Make clusters one, under the id and name of the first, and return its id."""
        first, *others = dict.fromkeys(map(self.cluster, of))
        if not others:
            raise PeekError("One cluster alone cannot be merged: give the ids of two or more.")
        memory.merge(self.db, others, first)
        self.form()
        return first

    def split(self, cluster: str, by: str = "fingerprint") -> list[str]:
        """Make one cluster of each value that a column has in this one, and return their ids."""
        if by not in clusters.SPLITS:
            raise PeekError(f"A cluster cannot be split by {by!r}: choose from {', '.join(clusters.SPLITS)}.")
        one = self.cluster(cluster)
        members = self.failures[self.failures["cluster_id"] == one]
        if members[by].nunique(dropna=False) < 2:
            raise PeekError(f"All failures of this cluster have the same {by}: split it by something else.")
        memory.split(self.db, one, by)
        self.form()
        return sorted({clusters.part_of(one, by, value) for value in members[by]})

    def _founders(self, found: dict[str, str], remembered: memory.Memory) -> pd.DataFrame:
        """Return the failure that each cluster has its name from, and remember what is new.

        It may be none of those that are asked about: a name is the same whatever is asked.
        """
        now = clusters.founders(self.failures, found)
        elsewhere = {one: event for one, event in remembered.founders.items() if one in now.index}
        where = Where("e.event_id IN (SELECT value FROM json_each(:events))", {"events": many(elsewhere.values())})
        known = failures.matching(self.db, where).set_index("event_id", drop=False)
        founded = {one: event for one, event in elsewhere.items() if event in known.index}
        before = known.loc[list(founded.values())].set_axis(list(founded), axis=0)
        new = now[~now.index.isin(before.index)]
        fresh = {fingerprint: one for fingerprint, one in found.items() if fingerprint not in remembered.cluster_of}
        memory.remember(self.db, fresh, zip(new.index, new["session_id"], new["event_id"], strict=True))
        return pd.concat([before, new])

    def _read(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the runs, and the failures in them that are no consequence of another one."""
        if self.q is None or self.q is ALL:
            ids = matching("", self.db)
            found = failures.matching(self.db, query.over_events(""))
        elif isinstance(self.q, str) and not self._is_session(self.q):
            found = failures.matching(self.db, query.over_events(self.q))
            terms = [term.written for term in query.parse(self.q) if term.key in _OF_RUNS]
            ids = matching(" ".join(terms), self.db)
        else:
            ids = resolve_many(self.q, self.db)
            found = failures.of_sessions(self.db, ids)
        runs = [(one.session_id, one.started_at) for one in reader.read_sessions(self.db, ids)]
        columns = {"session_id": [run[0] for run in runs], "started_at": [run[1] for run in runs]}
        return dtypes.frame("sessions", columns), found[found["is_root"]].reset_index(drop=True)

    def _is_session(self, text: str) -> bool:
        try:
            return bool(text.strip()) and bool(resolve(text, self.db))
        except SessionNotFound:
            return False
