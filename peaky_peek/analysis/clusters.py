"""What keeps failing: the same failure over many runs is one cluster, with a name that stays as more is recorded.

A cluster is a fingerprint, and those nearly like it; what a user renamed, merged and split comes after that. Whoever
forms clusters from the same failures with the same memory gets the same ones, in whatever order the rows are.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from peaky_peek.analysis import fingerprints
from peaky_peek.analysis.similar import Alike
from peaky_peek.analysis.trends import Timeline
from peaky_peek.store import dtypes
from peaky_peek.store.memory import Memory

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("fingerprint", "tool_name", "agent", "error_type", "place", "name", "event_type", "severity", "session_id")
"""The columns that a cluster may be split by."""

_NAME_LENGTH = 80


def found_in(failures: pd.DataFrame, memory: Memory) -> dict[str, str]:
    """Return the cluster of each fingerprint: the remembered one, else that of the earlier one it is most like.

    Args:
        failures: rows of `pp.failures`.
        memory: what was decided before.
    """
    order = np.lexsort((failures["event_id"].to_numpy(object), failures["timestamp"].to_numpy("M8[us]")))
    columns = [failures[name].to_numpy(object)[order] for name in ("fingerprint", "kind", "error_type", "place")]
    templates = failures["template"].to_numpy(object)[order]
    known = memory.cluster_of
    first: dict[str, tuple[tuple[str, ...], str]] = {}
    for fingerprint, *place, template in zip(*columns, templates, strict=True):
        first.setdefault(fingerprint, (tuple(map(str, place)), template))
    likes: dict[tuple[str, ...], Alike] = defaultdict(Alike)
    numbered: dict[tuple[str, ...], list[str]] = defaultdict(list)
    found = {}
    for fingerprint in sorted(first, key=lambda one: one not in known):
        bucket, template = first[fingerprint]
        if fingerprint in known:
            likes[bucket].add(template)
            found[fingerprint] = known[fingerprint]
        else:
            like = likes[bucket].first(template)
            found[fingerprint] = [*numbered[bucket], fingerprint][like]
        numbered[bucket].append(found[fingerprint])
    return found


def assigned(failures: pd.DataFrame, found: dict[str, str], memory: Memory) -> pd.Series[str]:
    """Return the cluster of each failure, after all that users merged and split."""
    ids = failures["fingerprint"].map(found).astype(object)
    for _ in range(len(memory.merged_into) + len(memory.split_by) + 1):
        ids = ids.map({one: _merged(one, memory) for one in ids.unique()})
        parts = [one for one in ids.unique() if one in memory.split_by]
        if not parts:
            break
        for one in parts:
            rows = ids == one
            ids[rows] = [part_of(one, memory.split_by[one], value) for value in failures[memory.split_by[one]][rows]]
    return ids.astype("str")


def _merged(cluster_id: str, memory: Memory) -> str:
    """Return the cluster that this one is part of by now."""
    seen = set()
    while cluster_id in memory.merged_into and cluster_id not in seen:
        seen.add(cluster_id)
        cluster_id = memory.merged_into[cluster_id]
    return cluster_id


def part_of(cluster_id: str, by: str, value: Any) -> str:
    """Return the id of the part of a split cluster that has this value."""
    return f"{cluster_id}.{fingerprints.fingerprint(by, str(value))[:4]}"


def founders(failures: pd.DataFrame, found: dict[str, str]) -> pd.DataFrame:
    """Return the failure that gives each cluster its name: the first with its fingerprint, else its first."""
    base = failures["fingerprint"].map(found)
    order = np.lexsort((failures["timestamp"].to_numpy("M8[us]"), (failures["fingerprint"] != base).to_numpy()))
    first = failures.assign(base=base).iloc[order].drop_duplicates("base")
    return first.set_index("base")


def clusters(failures: pd.DataFrame, named_by: pd.DataFrame, timeline: Timeline, memory: Memory) -> pd.DataFrame:
    """Return one row per cluster, the worst first: by severity, then by how many runs and failures it has.

    Args:
        failures: rows of `pp.failures` with the `cluster_id` that `assigned` gives them.
        named_by: the failure that gives each cluster its name, by the id of the cluster before it was split.
        timeline: the runs that these failures are among, also those without any.
        memory: what was decided before.
    """
    founder_of: dict[str, dict[str, Any]] = {str(one): dict(row) for one, row in named_by.iterrows()}
    rows = []
    for cluster_id, members in failures.groupby("cluster_id"):
        founder = founder_of.get(str(cluster_id).partition(".")[0]) or dict(members.iloc[0])
        rows.append(_row(str(cluster_id), founder, members, timeline, memory))
    frame = dtypes.frame("clusters", {name: [row[name] for row in rows] for name in dtypes.SCHEMA["clusters"]})
    frame["severity"] = frame["severity"].astype(dtypes.SEVERITY)
    worst = ["severity", "sessions", "size", "last_seen", "cluster_id"]
    return frame.sort_values(worst, ascending=[False, False, False, False, True], ignore_index=True)


def _row(
    cluster_id: str, founder: dict[str, Any], members: pd.DataFrame, timeline: Timeline, memory: Memory
) -> dict[str, Any]:
    seen = members["timestamp"].dropna()
    sessions = members["session_id"].unique().tolist()
    return {
        "cluster_id": cluster_id,
        "name": memory.names.get(cluster_id) or _name(cluster_id, founder, members, memory),
        "kind": founder["kind"],
        "severity": members["severity"].max(),
        "size": len(members),
        "sessions": len(sessions),
        "trend": timeline.trend(sessions),
        "first_seen": None if seen.empty else seen.min(),
        "last_seen": None if seen.empty else seen.max(),
        **{name: founder[name] for name in ("error_type", "place", "template")},
        "why": _why(cluster_id, members, memory),
        "representative": representative(members),
        "history": timeline.counts(members["session_id"]),
        "event_ids": members["event_id"].tolist(),
        "session_ids": sessions,
    }


def representative(members: pd.DataFrame) -> str:
    """Return the event that shows a cluster best: of the most severe the one that says the rarest, of those the newest.

    What is said often stands in the name already; what is said once tells something new.
    """
    worst = members[members["severity"] == members["severity"].max()]
    times_said = worst.groupby("message", dropna=False)["message"].transform("size")
    return str(worst[times_said == times_said.min()]["event_id"].iloc[-1])


def _name(cluster_id: str, founder: dict[str, Any], members: pd.DataFrame, memory: Memory) -> str:
    by = memory.split_by.get(cluster_id.rpartition(".")[0])
    if by == "fingerprint":  # what it was split by tells it apart
        founder = dict(members.iloc[0])
    said = [founder[name] for name in ("place", "error_type", "template")]
    name = ": ".join(str(part) for part in said if isinstance(part, str) and part)
    if by is not None and by != "fingerprint":
        name = f"{members[by].iloc[0]} · {name}"
    return name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1].rstrip()}…"


def _why(cluster_id: str, members: pd.DataFrame, memory: Memory) -> str:
    """Return in words what its failures have in common."""
    alike = []
    for what, column in (("type", "error_type"), (_kind_of_place(members), "place")):
        values = members[column].dropna().unique()
        if len(values) == 1:
            alike.append(f"same {what} ({values[0]})")
    wordings = members["template"].nunique()
    if wordings == 1:
        alike.append("same message once ids, numbers, paths and quotes are masked")
    if cluster_id in memory.merged_into.values():
        alike.append("merged by you")
    elif wordings > 1:
        alike.append(f"{wordings} wordings that are nearly the same once ids, numbers, paths and quotes are masked")
    by = memory.split_by.get(cluster_id.rpartition(".")[0])
    if by is not None:
        alike.append(f"split by {by}")
    return "; ".join(alike)


def _kind_of_place(members: pd.DataFrame) -> str:
    return "tool" if (members["tool_name"] == members["place"]).all() else "place"
