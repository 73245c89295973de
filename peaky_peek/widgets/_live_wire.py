"""What a page is told of a run that goes on: the steps that are new, and how it stands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from peaky_peek.widgets import _text, _wire

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peaky_peek.events import BehaviorAlert
    from peaky_peek.widgets._live import Following, News

_OPEN, _ALERTS = 50, 3
"""The most steps under way and alerts that are told; the latest."""
_NAME = 60
_KIND = {kind: code for code, kind in enumerate(_wire.KINDS)}


def message(following: Following, news: News, runs: list[tuple[str, str, int | None]]) -> _wire.Message:
    """Return the message that says what is new.

    Args:
        following: the run.
        news: its steps that are new or have become others.
        runs: all that are under way.
    """
    steps = [*news.added, *news.changed.values()]
    rows = [*range(news.start, news.start + len(news.added)), *news.changed]
    columns: dict[str, NDArray[Any]] = {
        "row": np.array(rows, np.int32),
        "parent": np.array([step["parent"] for step in steps], np.int32),
        "kind": np.array([_KIND[step["event_type"]] for step in steps], np.uint8),
        "flags": np.array([_flags(step) for step in steps], np.uint8),
        "importance": np.array([round(255 * _share(step["importance"])) for step in steps], np.uint8),
        "duration": np.array([_known(step["duration_ms"]) for step in steps], np.float32),
        "cost": np.array([_known(step["cost_usd"]) for step in steps], np.float32),
    }
    texts = {
        "name": [_text.one_line(step["name"] or step["event_type"], _wire.NAME_LIMIT) for step in steps],
        "preview": [news.previews.get(row, "") for row in rows],
    }
    return _wire.packed("live", _facts(following, runs), columns, texts)


def _facts(following: Following, runs: list[tuple[str, str, int | None]]) -> dict[str, Any]:
    session, loop = following.session, following.loop
    alerts = list(following.alerts.values())
    return {
        "session": None if session is None else session.session_id,
        "status": "empty" if session is None else session.status,
        "rows": len(following),
        "open": [] if following.is_over else following.open_steps()[-_OPEN:],
        "now": None if following.is_over else following.current(),
        "cost": following.cost,
        "loop": loop
        and {"text": f"loop x{loop.repeats}?", "what": str(loop), "row": following.row_of(loop.event_ids[-1])},
        "alerts": [_alert(following, alert) for alert in alerts[-_ALERTS:]],
        "alerted": len(alerts),
        "sessions": [[known, _text.one_line(name, _NAME)] for known, name, _ in runs],
    }


def _alert(following: Following, alert: BehaviorAlert) -> dict[str, Any]:
    text = _text.one_line(str(alert.signal or alert.name))
    return {"text": text, "severity": alert.severity or "medium", "row": following.row_of(alert.parent_id)}


def _flags(step: dict[str, Any]) -> int:
    marks = {
        "failed": step["failed"], "suspect": step["suspect"] is not None, "derived": step["derived"],
        "running": step["running"], "cancelled": step["status"] == "cancelled",
    }  # fmt: skip
    return sum(bit for mark, bit in _wire.FLAGS.items() if marks[mark])


def _share(value: float | None) -> float:
    return 0.0 if value is None else min(max(value, 0.0), 1.0)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
