"""Takes a run up again from one of its moments: its state and its conversation, in a session of its own."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from peaky_peek import ids, steps, store
from peaky_peek.analysis.changes import changes
from peaky_peek.analysis.continuing import conversation_at
from peaky_peek.analysis.drift import COMPARED, Comparison, events_after
from peaky_peek.analysis.moments import Moments
from peaky_peek.analysis.restorable import lost
from peaky_peek.capture import context, listeners, watching
from peaky_peek.capture.spans import TraceContext
from peaky_peek.capture.verbs import emit
from peaky_peek.encoding import decode, encode
from peaky_peek.errors import NotRestorable, PeekWarning
from peaky_peek.events import Checkpoint, Drift, Event
from peaky_peek.store import reader
from peaky_peek.store.sessions import resolve
from peaky_peek.vocabulary import SEVERITIES

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

_NAMED = 5


def restore(ref: Any = None, as_: Any = None) -> Restored:
    """Give back the state and the conversation of a moment of a run; `with` continues from there.

    Args:
        ref: an event or its id, a row of `pp.checkpoints()`, a widget, whose event is meant; or a session reference,
            whose last checkpoint is meant, or without one its last model call. None for the newest session.
        as_: the type that the state is to be: a data class, a pydantic model, or a list or dict of these. Without it,
            the state is the JSON data that was recorded.

    Returns:
        A `Restored`. What was not recorded as data, such as an open connection, is named in a `PeekWarning`.

    Raises:
        SessionNotFound, EventNotFound: naming the closest.
        NotRestorable: when nothing was saved by then, or the state does not fit `as_`; the message names what.

    Example:
        >>> from peaky_peek import trace_session
        >>> with trace_session("shop") as ctx:
        ...     saved = ctx.checkpoint({"cart": ["lamp"]}, label="cart is full")
        >>> restore(saved).state
        {'cart': ['lamp']}
        >>> with restore(saved) as again:
        ...     event = again.record_decision("it is cheaper", chosen_action="take two lamps")
    """
    db = store.current()
    db.ingest()
    event = _event_of(ref, db)
    moments = Moments(db, steps.steps(db, event.session_id))
    position = moments.position_of(event.id)
    saved = moments.at(position).checkpoint
    said = conversation_at(moments, position)
    if saved is None and said is None:
        raise NotRestorable(
            f"Nothing was saved before {event.name!r} that could be restored: `ctx.checkpoint(state)` saves a state,"
            " and so does each model call its conversation."
        )
    restored = Restored(reader.read_session(db, event.session_id).name or event.session_id, event, saved)
    if said is not None:
        restored.messages, restored.request = said.messages, said.request
    restored.lost = [str(one) for name, value in _parts(restored) for one in lost(value, name)]
    if as_ is not None:
        restored.state = _shaped(restored, as_)
    elif restored.lost:
        warnings.warn(f"Restored without what was not recorded as data: {_list(restored.lost)}.", PeekWarning, 2)
    return restored


class Restored(TraceContext):
    """What was restored; entered with `with` or `async with`, a session that continues from there.

    The session says in `forked_from` what it continues. What it does is compared with what the original did after that
    moment: where it differs, and again where it differs by more, a `drift` event tells; `pp.drift` lists all.

    Attributes:
        original: the id of the session that is continued.
        event: the event right after which it is.
        state: the state of the last checkpoint by then.
        memory: its memory.
        messages: the conversation, ready to be sent to the provider again.
        request: the last request with these messages in it, as far as recorded: model, tools and settings.
        lost: what was not recorded as data, in words.
    """

    def __init__(self, name: str, event: Event, saved: Checkpoint | None) -> None:
        super().__init__(name, new_session=True)
        self.original, self.event = event.session_id, event
        self.state: Any = None if saved is None else saved.state
        self.memory: Any = None if saved is None else saved.memory
        self.messages: list[Any] = []
        self.request: dict[str, Any] = {}
        self.lost: list[str] = []
        self._label = None if saved is None else saved.name
        self._common = {"data": {"restored_from": event.id}}
        self._comparison: Comparison | None = None
        self._worst = -1

    def _facts(self) -> dict[str, Any]:
        session = reader.read_session(store.current(), self.original)
        known = {"framework": session.framework, "task": session.task, "thread": session.thread}
        return {name: value for name, value in known.items() if value} | {"forked_from": self.original}

    def _open(self) -> None:
        self._comparison, self._worst = Comparison(events_after(self.original, self.event.id)), -1
        super()._open()
        if self._session is not None and self._session.sampled:
            listeners.registered[self] = listeners.Listener(self._compare, COMPARED, ids.new_position())
            for session in list(context.open_sessions.values()):
                if context.watch is not None:
                    context.watch(session)

    def _close(self, error: BaseException | str | None) -> None:
        if listeners.registered.get(self) is not None:
            watching.catch_up()
            listeners.registered.pop(self, None)
        super()._close(error)

    def _compare(self, event: Event) -> None:
        """Record where the run leaves the path, unless it did so by as much before."""
        if self._comparison is None or event.session_id != self.session_id:
            return
        found = self._comparison.feed(event)
        if found is None or SEVERITIES.index(found.severity) <= self._worst:
            return
        self._worst = SEVERITIES.index(found.severity)
        typed = {
            "description": found.description, "original_value": found.original_value,
            "restored_value": found.restored_value, "severity": found.severity,
        }  # fmt: skip
        about = {"original_event_id": found.original.id} if found.original is not None else {}
        emit(Drift, self._inside, {"upstream_event_ids": [found.restored], "data": about}, typed)

    def __repr__(self) -> str:
        parts = ["a state"] * (self.state is not None) + [f"{len(self.messages)} messages"] * bool(self.messages)
        return f"Restored({self.name!r} at {self.event.name!r}: {' and '.join(parts) or 'nothing'})"


def _event_of(ref: Any, db: Database) -> Event:
    """Return the event that a reference means."""
    meant = ref if isinstance(ref, Event) else getattr(ref, "event", None)
    if not isinstance(meant, Event):
        meant = getattr(ref, "event_id", None)
    if isinstance(meant, (Event, str)):
        return reader.read_event(db, str(meant))
    if isinstance(ref, str) and (found := reader.events_by_id(db, [ref])):
        return found[0]
    session_id = resolve(ref, db)
    kinds: dict[str, Event] = {
        event.kind: event for event in reader.read_events(db, session_id, ("checkpoint", "llm_request"), whole=False)
    }
    last = kinds.get("checkpoint") or kinds.get("llm_request")
    if last is None:
        raise NotRestorable(
            f"Session {session_id} has neither a checkpoint nor a model call to be restored from:"
            " `ctx.checkpoint(state)` saves one."
        )
    return reader.read_event(db, last.id)


def _parts(restored: Restored) -> list[tuple[str, Any]]:
    names = ("state", "memory", "messages")
    return [(name, value) for name in names if (value := getattr(restored, name)) is not None]


def _shaped(restored: Restored, kind: Any) -> Any:
    """Return the state as the type that was asked for.

    Raises:
        NotRestorable: naming what does not fit.
    """
    from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

    name = getattr(kind, "__name__", str(kind))
    of = f"The state of {restored._label!r}" if restored._label else "There is no state, which"
    unfit = [one for one in restored.lost if one.startswith(("state.", "state[", "state "))]
    if unfit:
        raise NotRestorable(f"{of} cannot be made a {name} again, for it was not recorded as data: {_list(unfit)}.")
    try:
        made = TypeAdapter(kind).validate_python(restored.state)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, ('state', *each['loc'])))}: {each['msg']}" for each in error.errors()]
        raise NotRestorable(f"{of} does not fit {name}: {_list(wrong)}.") from None
    except (PydanticSchemaGenerationError, PydanticUserError):
        raise NotRestorable(
            f"Nobody knows how to make a {name}: `as_` takes a data class, a pydantic model, or a list or dict of them."
        ) from None
    left = [one for one in changes({"state": restored.state}, decode(encode({"state": made}))) if one.kind == "removed"]
    if left:
        raise NotRestorable(f"{of} does not fit {name}, which would leave out {_list([one.path for one in left])}.")
    return made


def _list(told: list[str]) -> str:
    more = len(told) - _NAMED
    return "; ".join(told[:_NAMED] + [f"{more} more"] * (more > 0))
