"""Recorded sessions for tests of what reads them: exact events, written through a real journal."""

from __future__ import annotations

from typing import Any

from peaky_peek import ids
from peaky_peek.encoding import encode
from peaky_peek.events import Event
from peaky_peek.store.database import Database
from peaky_peek.store.journal import JournalWriter
from peaky_peek.store.records import encode_event, encode_record

START = 1_793_000_000_000_000
"""Microseconds, UTC: in October 2026. Event n of a run happens n milliseconds after its start."""


class Run:
    """Events of one session in order; ids are `<session_id>-<number>`."""

    def __init__(self, session_id: str, start: int = START) -> None:
        self.session_id = session_id
        self.position = ids.new_position()
        self.start = start
        self.events: list[Event] = []

    def add(self, cls: type[Event], name: str, parent: Event | str | None = None, **fields: Any) -> Event:
        number = len(self.events)
        base = {
            "id": f"{self.session_id}-{number}",
            "session_id": self.session_id,
            "position": ids.new_position(),
            "parent_id": None if parent is None else str(parent),
            "name": name,
            "time_us": self.start + 1000 * number,
            "importance": 0.5,
        }
        event = cls(**{**base, **fields})
        self.events.append(event)
        return event

    def save(self, db: Database, **session: Any) -> str:
        """Write all events that are not written yet, and what the session record says."""
        fields = {"name": self.session_id, "status": "completed", "started_at": self.start, **session}
        writer = JournalWriter(db.journal_folders, f"{self.session_id}-{ids.new_position()}")
        writer.append(encode_record("S", [self.session_id, self.position], encode(fields)))
        for event in self.events:
            writer.append(encode_event(event))
        self.events = []
        db.ingest()
        if fields["status"] != "running":  # whoever finds the journal of a dead process ends its sessions
            writer.close()
        return self.session_id
