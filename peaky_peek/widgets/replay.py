"""The replay of a session: a scrubber over all that happened, and beside it what was known at that moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from peaky_peek.analysis import highlights
from peaky_peek.analysis.breakpoints import Breakpoint, Condition
from peaky_peek.analysis.moments import Moment, Moments
from peaky_peek.analysis.stepping import KINDS
from peaky_peek.events import Event
from peaky_peek.store import reader
from peaky_peek.widgets import _export, _moment, _wire
from peaky_peek.widgets._session_widget import SessionWidget
from peaky_peek.widgets._text import one_line

if TYPE_CHECKING:
    from peaky_peek.analysis.stepping import Positions
    from peaky_peek.widgets._filter import Filter
    from peaky_peek.widgets._recording import Recording

_PREPARED = 240
"""Moments that an exported page holds."""
_PREPARED_LIMIT = 6_000_000
_NAME = 60


class Replay(SessionWidget, bundle="replay"):
    """A widget that plays a session: tracks of what happened, and the state at the moment where the head rests.

    The head is a value here, and what is set here moves the picture:

        replay = pp.replay("refund_agent")
        replay.next("failure")        # goes there, and returns the event
        replay.state.messages         # the conversation until then
        replay.breakpoints = ["tool:refund", 'changed("state.cart")', lambda event: event.status == "error"]

    It takes the arguments of `replay`.
    """

    mode = traitlets.Enum(
        highlights.MODES, "full", help="What it stops at: all, what is in `focus`, failures, highlights."
    )
    focus = traitlets.Any(None, help="For the mode focus: an agent, an event or its id; None for what is selected.")
    speed = traitlets.Float(1.0, min=0.25, max=64, help="How fast it plays.").tag(sync=True)
    true_time = traitlets.Bool(False, help="Whether it waits as long as the agent did.").tag(sync=True)
    _playing = traitlets.Bool(False).tag(sync=True)

    _breakpoints: tuple[Breakpoint | str, ...] = ()
    _known: tuple[Recording, Moments] | None = None
    _counts: Sequence[int] = ()
    _seen: dict[Any, Positions] = {}  # noqa: RUF012 - replaced, never changed

    def __init__(
        self, session: Any = None, *, breakpoints: Iterable[Any] = (), mode: highlights.Mode = "full", **shown: Any
    ) -> None:
        super().__init__(session, **shown)
        self.mode = mode
        if breakpoints := tuple(breakpoints):
            self.breakpoints = breakpoints

    @property
    def event(self) -> Event | None:
        """The event that the head stands at, typed; where nobody moved it, the first that is selected."""
        if self.position is None:
            return super().event
        return reader.read_event(self._recording.db, self._recording.event_order[self.position])

    @property
    def state(self) -> Moment | None:
        """What was known at the position, at the end where nobody moved it; None in an empty session."""
        moments = self._moments
        return moments.at(len(moments) - 1 if self.position is None else self.position) if len(moments) else None

    @property
    def breakpoints(self) -> tuple[Breakpoint | str, ...]:
        """Where it stops: set queries, `changed("state.cart")`, functions of an event, events or ids of events.

        It is read as a tuple of `Breakpoint`, and ids for single events. Setting it raises `QueryError` for what
        cannot be read.
        """
        return self._breakpoints

    @breakpoints.setter
    def breakpoints(self, wanted: Iterable[Breakpoint | Condition | Event]) -> None:
        with self._lock:
            given = [wanted] if isinstance(wanted, (str, Event)) or callable(wanted) else list(wanted)
            found = tuple(self._breakpoint(one) for one in given)
            hits = self._hits(found)  # says what cannot be read, before anything is changed
            self._breakpoints = found
            self._set_hits(hits)
            self._send_all([self._stops(), self._stretches()])

    def step(self) -> Event | None:
        """Go to the next event that the mode shows; return it, None at the end."""
        return self._go(self._moments.stepper.next(self.position, self._shown()))

    def back(self) -> Event | None:
        """Go to the event before; return it, None at the beginning."""
        return self._go(self._moments.stepper.previous(self.position, self._shown()))

    def into(self) -> Event | None:
        """Go to the first event inside the step that begins here."""
        return self._go(self._moments.stepper.into(self.position))

    def over(self) -> Event | None:
        """Go to the end of the step that begins here, else to what comes next beside it."""
        return self._go(self._moments.stepper.over(self.position))

    def out(self) -> Event | None:
        """Go to the end of the step around this one."""
        return self._go(self._moments.stepper.out(self.position))

    def next(self, kind: str | Condition = "breakpoint") -> Event | None:
        """Go to the next failure, suspect, decision, checkpoint or breakpoint, or to where any condition holds next.

        Args:
            kind: one of these words, or what a breakpoint can be: a query, `changed("...")` or a function of an event.
        """
        return self._go(self._moments.stepper.next(self.position, self._positions(kind)))

    def previous(self, kind: str | Condition = "breakpoint") -> Event | None:
        """Go back to the last failure, suspect, ... before this moment: what `next` takes."""
        return self._go(self._moments.stepper.previous(self.position, self._positions(kind)))

    def play(self, speed: float | None = None) -> None:
        """Play on in the open view, until a breakpoint or the end."""
        self.speed = self.speed if speed is None else speed
        self._playing = True

    def pause(self) -> None:
        """Stop playing."""
        self._playing = False

    @property
    def _moments(self) -> Moments:
        """All moments of what is shown; another recording is read anew."""
        if self._known is None or self._known[0] is not self._recording:
            moments = Moments(self._recording.db, self._recording.steps)
            self._known = self._recording, moments
            self._set_hits(self._hits(self._breakpoints))
        return self._known[1]

    def _go(self, position: int | None) -> Event | None:
        if position is None:
            return None
        self.position = position
        return self.event

    def _positions(self, kind: str | Condition) -> Any:
        return kind if kind in KINDS else Breakpoint(kind).positions(self._moments)

    def _shown(self) -> Positions:
        """Return the positions that the mode stops at; the last ones are kept."""
        agent = event_id = None
        if self.mode == "focus":
            focus = self.focus or next(iter(self.selected), None)
            if isinstance(focus, Event) or (isinstance(focus, str) and self._recording.rows_of([focus])):
                event_id = str(focus)
            else:
                agent = focus
        moments, key = self._moments, (self.mode, agent, event_id)
        if key not in self._seen:
            found = highlights.shown(moments, self.mode, agent=agent, event_id=event_id)
            self._seen = {key: np.flatnonzero(found)}
        return self._seen[key]

    def _breakpoint(self, given: Any) -> Breakpoint | str:
        if isinstance(given, Breakpoint):
            return given
        if isinstance(given, Event) or (isinstance(given, str) and self._recording.rows_of([given])):
            return str(given)
        return Breakpoint(given)

    def _hits(self, breakpoints: Iterable[Breakpoint | str]) -> list[Positions]:
        """Return where each stops; an event of another session stops nowhere."""
        moments = self._moments
        return [
            one.positions(moments)
            if isinstance(one, Breakpoint)
            else np.array([at for at in [moments.position_of(one, -1)] if at >= 0], np.int64)
            for one in breakpoints
        ]

    def _set_hits(self, hits: list[Positions]) -> None:
        self._counts, self._seen = [len(at) for at in hits], {}
        self._moments.stepper.positions["breakpoint"] = np.unique(np.concatenate([np.array([], np.int64), *hits]))

    @traitlets.observe("mode", "focus")
    def _show_mode(self, _change: dict[str, Any]) -> None:
        with self._lock:
            self._send_all([self._stretches()])

    def _extras(self) -> list[_wire.Message]:
        return [*super()._extras(), _moment.events(self._moments), self._stretches(), self._stops()]

    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        match request:
            case {"type": "moment", "position": int(position), "messages": int(messages)} if self._is_position(
                position
            ):
                return [self._moment(position, messages, request)]
            case {"type": "part", "position": int(position), "path": list(path)} if self._is_position(position):
                return [_wire.packed("part", {"text": _moment.part(self._moments, position, path)}, request=request)]
            case {"type": "mode", "mode": mode} if mode in highlights.MODES:
                self.mode = mode
                return [self._stretches(request)]
            case {"type": "break", "add": str(text)}:
                self.breakpoints = [*self._breakpoints, text]
            case {"type": "break", "remove": int(number)}:
                self.breakpoints = [one for at, one in enumerate(self._breakpoints) if at != number]
            case {"type": "break", "at": int(at)} if self._is_position(at):
                here = self._recording.event_order[at]
                kept = [one for one in self._breakpoints if one != here]
                self.breakpoints = kept if len(kept) < len(self._breakpoints) else [*kept, here]
            case _:
                return super()._answer(request)
        return [_wire.packed("done", request=request)]

    def _is_position(self, position: int) -> bool:
        return 0 <= position < len(self._moments)

    def _moment(self, position: int, messages: int, request: Any) -> _wire.Message:
        return _wire.packed("moment", _moment.facts(self._moments, position, messages), request=request)

    def _stretches(self, request: Any = None) -> _wire.Message:
        """Return what is folded: in full what is dull, which playing passes over; else what the mode does not show."""
        shown = None if self.mode == "full" else self._shown()
        return _moment.stretches(self._moments, self.mode, shown, request)

    def _stops(self) -> _wire.Message:
        """Return where the breakpoints stop, and what each is called."""
        told = []
        for one, hits in zip(self._breakpoints, self._counts, strict=True):
            text, problem = (str(one), one.problem) if isinstance(one, Breakpoint) else (self._name_of(one), None)
            told.append({"text": one_line(text, _NAME), "hits": hits, "problem": problem or ""})
        at = self._moments.stepper.positions["breakpoint"].astype(np.int32)
        return _wire.packed("breakpoints", {"list": told}, {"at": at})

    def _name_of(self, event_id: str) -> str:
        found = self._moments.position_of(event_id, -1)
        return f"event {found + 1:,}" if found >= 0 else "an event of another session"

    def _page(self) -> _export.Page:
        page = super()._page()
        return replace(page, prepared=[*page.prepared, *self._prepared()])

    def _prepared(self) -> Iterator[_wire.Message]:
        """Yield answers for a page: the modes, and what was known at the moments that one would stop at."""
        before = self.mode
        for mode in highlights.MODES:
            if mode != "focus":
                self.mode = mode
                yield self._stretches({"type": "mode", "mode": mode})
        self.mode = before
        room = _PREPARED_LIMIT
        for position in _moment.worth_keeping(self._moments, self.position, _PREPARED):
            request = {"type": "moment", "position": position, "messages": _moment.MESSAGES}
            message = self._moment(position, _moment.MESSAGES, request)
            room -= len(repr(message[0]))
            if room < 0:
                return
            yield message


def replay(
    session: Any = None,
    *,
    filter: Filter = "",  # noqa: A002
    breakpoints: Iterable[Any] = (),
    mode: highlights.Mode = "full",
    height: int = 600,
    expanded: bool = True,
    linked: bool = True,
) -> Replay:
    """Return the replay of a session; as the last expression of a cell it is drawn.

    It shows what happened as tracks in the order of events, and what was known at the moment where the head rests: the
    conversation with what is new marked, what is at work, cost and tokens so far, the last checkpoint and its changes.

    Args:
        session: a session reference; None for the newest. An empty store is shown as such.
        filter: a query, a boolean mask or a function, as in `Replay.filter`.
        breakpoints: where it stops, as in `Replay.breakpoints`.
        mode: what it stops at: "full", "focus", "failure" or "highlights".
        height: of the drawing, in pixels.
        expanded: whether to show more than the headline, which expands in place.
        linked: whether it moves together with the other widgets on this session.

    Raises:
        SessionNotFound: if the reference names no session.
        QueryError: if the filter or a breakpoint cannot be read.
    """
    return Replay(
        session, breakpoints=breakpoints, mode=mode, filter=filter, height=height, expanded=expanded, linked=linked
    )
