"""Alerts: what a rule or a listener says about a run, and how it becomes an event of that run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from peaky_peek import ids
from peaky_peek.events import BehaviorAlert, Event


@dataclass(frozen=True, slots=True)
class Alert:
    """Something odd about a run, as a `behavior_alert` under the event that shows it.

    Args:
        alert_type: a short name, such as "too_many_searches".
        signal: what was seen, for people.
        severity: "high" and "critical" count as failures.
        show: also say it in one line: in the running cell of a notebook, else on stderr.
        related_event_ids: the events it is about; else the one it is returned for.

    Example:
        >>> Alert("too_many_searches", "4 searches in one run", severity="high").severity
        'high'
    """

    alert_type: str
    signal: str | None = None
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    show: bool = False
    related_event_ids: tuple[str, ...] = ()


class Rule(Protocol):
    """Watches one run: a root session, its sub-sessions and child processes. Told of each event once, in order."""

    types: Collection[str]
    """The types of events that it wants; it is told of no others."""

    def feed(self, event: Event) -> Iterable[Alert]:
        """Return what the event gives reason for, now that those before it are known."""


def event_of(alert: Alert, event: Event) -> BehaviorAlert:
    """Return the alert that `event` gave reason for, as an event under it.

    Whoever finds the same alert in the same run makes the same event, and the store keeps one of them.
    """
    told = "\n".join((event.id, alert.alert_type, alert.signal or ""))
    return BehaviorAlert(
        id=ids.named(event.position, told.encode("utf-8", "replace")), position=event.position,
        session_id=event.session_id, parent_id=event.id, name=alert.alert_type, agent=event.agent,
        time_us=event.time_us, alert_type=alert.alert_type, signal=alert.signal, severity=alert.severity,
        related_event_ids=list(alert.related_event_ids or (event.id,)),
    )  # fmt: skip
