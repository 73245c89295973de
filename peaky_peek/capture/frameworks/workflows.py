"""Sessions in which agents of a framework take turns: one hands over to another, and neither is inside the other."""

from __future__ import annotations

import os
from typing import Any

from peaky_peek.capture import context, faults, program
from peaky_peek.capture.context import CURRENT, Scope, open_around
from peaky_peek.capture.spans import described_error, verdict
from peaky_peek.capture.verbs import emit
from peaky_peek.events import Error


class Workflow:
    """A session for agents that take turns. It has no event of its own: what stands in its tree are the agents.

    Args:
        name: names the session.
        framework: what its agents are built on.
        input: what the first of them is given.
        thread: the conversation that it is a turn of.
        session_id: a session that is taken up again.
    """

    def __init__(
        self, name: str, framework: str, *, input: Any = None, thread: str | None = None,  # noqa: A002
        session_id: str | None = None,
    ) -> None:  # fmt: skip
        self.output: Any = None
        """What the last of the agents returned."""
        self.error: str | None = None
        """What it failed with, if that was not raised where it ran."""
        context.stopped = False
        around = context.started_in()
        self._session = context.begin(
            name, session_id=session_id, resume=session_id is not None, framework=framework, input=input, thread=thread,
            parent=None if around is None else around.session, code_hash=program.code_hash(),
        )  # fmt: skip
        self._opened_in = os.getpid()
        self._before = CURRENT.get()
        parent_id = None if around is None else around.parent_id
        self._inside = Scope(self._session, parent_id, None, outside=self._before)
        CURRENT.set(self._inside)

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self._session.id

    def close(self, error: BaseException | None = None) -> None:
        """End the session, with an error as failed."""
        self._inside.closed = True
        here = CURRENT.get()
        if here is not None and here.session is self._session:
            CURRENT.set(open_around(self._before))
        if os.getpid() != self._opened_in:  # a forked child leaves the end to its parent
            return
        is_new = isinstance(error, Exception) and not any(known is error for known in self._session.raised)
        if is_new and error is not None and not context.paused:  # before the first agent began
            emit(Error, self._inside, {"status": "error"}, described_error(error))
        output = {} if self.output is None else {"output": self.output}
        context.end(self._session, verdict(error or self.error)[1], **output)


@faults.guarded
def begin(name: str, framework: str, **about: Any) -> Workflow | None:
    """Open a session, with what `Workflow` takes; None where one is open already: its agents belong there."""
    if context.paused or open_around(CURRENT.get()) is not None or context.cell_scope() is not None:
        return None
    return Workflow(name, framework, **about)
