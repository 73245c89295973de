"""Did a call take far longer than others of its kind?"""

from __future__ import annotations

import bisect
from collections import defaultdict, deque
from collections.abc import Collection, Iterable

from peaky_peek.capture.alerts import Alert
from peaky_peek.events import Event

_KNOWN, _KEPT = 8, 64
_TIMES, _DEVIATIONS, _LEAST_MS = 5.0, 8.0, 2_000.0


class Slow:
    """Compares each call with the last 64 of its name, by median and median deviation: one odd call changes neither.

    Example:
        >>> rule = Slow()
        >>> took = [900.0] * 8 + [12_000.0]
        >>> place = {"session_id": "s", "name": "search"}
        >>> calls = [Event(id=f"{n}", position=n, duration_ms=ms, **place) for n, ms in enumerate(took)]
        >>> [alert.signal for call in calls for alert in rule.feed(call)]
        ['search took 12.0 s, usually 0.9 s']
    """

    types: Collection[str] = ("tool_result", "llm_response")

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = defaultdict(deque)
        self._sorted: dict[str, list[float]] = defaultdict(list)

    def feed(self, event: Event) -> Iterable[Alert]:
        """Return an alert for a call that took far longer than usual."""
        took = event.duration_ms
        if not isinstance(took, (int, float)) or took < 0:
            return
        recent, known = self._recent[event.name], self._sorted[event.name]
        if took >= _LEAST_MS and len(known) >= _KNOWN:
            usual = known[len(known) // 2]
            deviation = sorted(abs(each - usual) for each in known)[len(known) // 2]
            if took >= max(_TIMES * usual, usual + _DEVIATIONS * deviation):
                signal = f"{event.name} took {took / 1000:.1f} s, usually {usual / 1000:.1f} s"
                yield Alert("slow_call", signal, severity="low")
        recent.append(took)
        bisect.insort(known, took)
        if len(recent) > _KEPT:
            known.pop(bisect.bisect_left(known, recent.popleft()))
