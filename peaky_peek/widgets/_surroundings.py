"""What a step is read beside: its exchanges, the schema of its tool, the state before it, the steps it points at."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from peaky_peek.events import Checkpoint, Event, LLMRequest, ToolCall
from peaky_peek.store import reader

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

Row = tuple[int, str, str, str]
"""A step that is pointed at: its row in the view (-1 when it is not there), its event's id, its name, its type."""
Places = dict[tuple[str, str], tuple[int, list[int], list[str]]]
"""By session and type, up to which position it is known where the events of that type are, these places, their ids."""

_EXCHANGES = """
    SELECT attempt, status, started_at, duration_ms, first_byte_ms, length(request), length(response), error, url,
        played_from FROM exchanges WHERE event_id = ? ORDER BY attempt, position"""
_OF_KIND = "SELECT position, event_id FROM events WHERE session_id = ? AND event_type = ? ORDER BY position"
_END = "SELECT max(position) FROM events WHERE session_id = ?"
_AFTER = """
    SELECT event_id FROM events WHERE session_id = ? AND event_type = 'tool_call' AND position > ?
    ORDER BY position LIMIT ?"""
_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parameters_json_schema")


class Surroundings:
    """What is recorded around the steps of a session.

    Args:
        db: the store; without one, nothing is known.
        row_of: the row of each event's step in the view.
        places: what was looked up for other steps of the same view, and is kept there: a page of them looks once.
    """

    def __init__(
        self, db: Database | None = None, row_of: Mapping[Any, int] | None = None, places: Places | None = None
    ) -> None:
        self._db, self._row_of = db, row_of or {}
        self._places: Places = {} if places is None else places

    def rows(self, event_ids: Iterable[str]) -> list[Row]:
        """Return the steps of those events that are recorded, in order."""
        return [
            (self._row_of.get(one.id, -1), one.id, one.name, str(one.event_type)) for one in self._events(event_ids)
        ]

    def exchanges(self, event: Event) -> list[tuple[Any, ...]]:
        """Return the HTTP exchanges of a request, in the order of `_EXCHANGES`."""
        return self._query(_EXCHANGES, event.id)

    def schema(self, call: ToolCall) -> dict[str, Any] | None:
        """Return the JSON schema of a tool's arguments, as the model was told it last before the call."""
        request = self._before(call, "llm_request")
        offered = request.tools if isinstance(request, LLMRequest) and isinstance(request.tools, list) else []
        for tool in offered:
            about = tool.get("function", tool) if isinstance(tool, dict) else None
            if isinstance(about, dict) and about.get("name") == call.tool_name:
                return next((about[key] for key in _SCHEMAS if isinstance(about.get(key), dict)), None)
        return None

    def checkpoint_before(self, event: Event) -> Checkpoint | None:
        """Return the checkpoint before this one."""
        found = self._before(event, "checkpoint")
        return found if isinstance(found, Checkpoint) else None

    def actions_after(self, event: Event, most: int = 5) -> list[Row]:
        """Return the first tool calls after an event."""
        return self.rows([row[0] for row in self._query(_AFTER, event.session_id, event.position, most)])

    def _before(self, event: Event, kind: str) -> Event | None:
        end, places, known = self._places.get((event.session_id, kind), (-1, [], []))
        if event.position > end:
            end = next((row[0] for row in self._query(_END, event.session_id)), None) or 0
            found = self._query(_OF_KIND, event.session_id, kind)
            places, known = [row[0] for row in found], [row[1] for row in found]
            self._places[event.session_id, kind] = end, places, known
        at = bisect_left(places, event.position)
        return next(iter(self._events(known[max(at - 1, 0) : at])), None)

    def _events(self, event_ids: Iterable[str]) -> list[Event]:
        return reader.events_by_id(self._db, event_ids) if self._db else []

    def _query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self._db.connection().execute(sql, parameters).fetchall() if self._db else []
