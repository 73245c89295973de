"""What a demo story is: an agent, the script of its model, and what is known to have gone wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from openai import OpenAI

    from peaky_peek.demo.script import Script


@dataclass(frozen=True)
class Mark:
    """One event of a recording: the first of its type that contains the text."""

    event_type: str
    text: str
    why: str

    def find(self, events: pd.DataFrame) -> int:
        """The row number of the event in `pp.events(session, data=True)`.

        Raises:
            LookupError: the recording has no such event.
        """
        for row, (event_type, data) in enumerate(zip(events["event_type"], events["data"], strict=True)):
            if event_type == self.event_type and self.text in _text(data):
                return row
        raise LookupError(f"no {self.event_type} contains {self.text!r}")


@dataclass(frozen=True)
class Story:
    """A small agent whose run goes wrong in a known way.

    Attributes:
        key: names the story's model in the server's address.
        title: what the story shows.
        session: the session that the marks are in; of several with this name, the newest.
        mechanism: how the cause led to the symptom, in the words of the diagnosis.
        look: where a reader should look first.
        cause: the event that explains the symptom, at least five events before it.
        symptom: the event at which somebody noticed, or could have.
        distractor: an event that looks guilty and is not.
        script: what the model says.
        run: records the story's sessions with a client of its model.
    """

    key: str
    title: str
    session: str
    mechanism: str
    look: str
    cause: Mark
    symptom: Mark
    distractor: Mark
    script: Script
    run: Callable[[OpenAI], None]


def _text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, default=str)
