"""Does a tool fail again and again?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from peaky_peek.capture.alerts import Alert
from peaky_peek.events import Event, ToolResult

_ROW = 3


class Failing:
    """Alerts once for each row of failures of a tool, at the third, whatever it was asked for.

    Example:
        >>> rule = Failing()
        >>> place = {"session_id": "s", "name": "search", "error": "timeout"}
        >>> results = [ToolResult(id=f"{n}", position=n, **place) for n in range(4)]
        >>> [alert.signal for result in results for alert in rule.feed(result)]
        ['search failed 3 times in a row']
    """

    types: Collection[str] = ("tool_result",)

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], list[str]] = defaultdict(list)

    def feed(self, event: Event) -> Iterable[Alert]:
        """Return an alert for the third failure in a row."""
        row = self._rows[event.session_id, event.name]
        if not event.failed:
            row.clear()
        elif isinstance(event, ToolResult) and len(row) < _ROW:
            row.append(event.id)
            if len(row) == _ROW:
                yield Alert("repeated_failure", f"{event.name} failed {_ROW} times in a row", related_event_ids=(*row,))
