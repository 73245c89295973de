"""Where two sessions part for good, and what led there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peaky_peek.analysis.changes import Change, changes
from peaky_peek.analysis.contents import Run, comparable
from peaky_peek.analysis.differences import Differences
from peaky_peek.encoding import as_text
from peaky_peek.events import LLMRequest
from peaky_peek.store import calls, reader
from peaky_peek.values import texts_in

if TYPE_CHECKING:
    from peaky_peek.store.database import Database

TOGETHER = 3
"""Steps in a row that two runs must do alike to be together again."""
_QUOTED = 60
_SHORTEST = 3
"""Characters of a text that is looked for in a message."""
_ANSWER = "to answer "
_IN_ARGUMENTS = re.compile(r"^(?:tool_calls\[\d+\]\.)?arguments\.")
_CHOOSE = ("llm_request", "decision")
_ROLES = {"system": "system prompt", "developer": "system prompt", "user": "user's message", "tool": "result of a tool"}


@dataclass(frozen=True, slots=True, repr=False)
class Cause:
    """What came before a divergence and was different already; steps and ids are None where there is none."""

    a_step: int | None
    b_step: int | None
    a_id: str | None
    b_id: str | None
    what: str

    def __repr__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True, repr=False)
class Divergence:
    """Where two sessions part: `print` it to read the sentence.

    `row` is that of the diff's `.frame`; steps count from 1; steps and ids are None where a run ended before. `lasting`
    tells whether they never did three steps alike again. `cause` is None where nothing before was different.
    """

    row: int
    a_step: int | None
    b_step: int | None
    a_id: str | None
    b_id: str | None
    lasting: bool
    what: str
    cause: Cause | None
    note: str

    def __repr__(self) -> str:
        where = _where(self.a_step, self.b_step)
        back = "" if self.lasting else "; they come together again"
        return f"{where[0].upper()}{where[1:]} {self.what}{self.note}{back}."


def first_row(diverges: Sequence[bool]) -> tuple[int, bool] | None:
    """Return the row of the first divergence after which two runs never do `TOGETHER` steps alike again, and True.

    Where there is none, that of the first detour, and False; None where nothing diverges. At their end fewer steps will
    do, if they are no fewer than those of the last detour.

    >>> first_row([False] * 3 + [True] + [False] * 3 + [True, False, True])
    (7, True)
    >>> first_row([False, True, False])
    (1, False)
    """
    stretches = [(alike, len(list(rows))) for alike, rows in itertools.groupby(not turned for turned in diverges)]
    if stretches and stretches[-1][0] and len(stretches) > 1:
        wanted = min(TOGETHER, stretches[-2][1])
        if stretches[-1][1] >= wanted:
            return list(diverges).index(True), False
    row, first = len(diverges), None
    for alike, length in reversed(stretches):
        if alike and length >= TOGETHER:
            break
        row -= length
        first = first if alike else row
    return None if first is None else (first, True)


def first_divergence(db: Database, found: Differences) -> Divergence | None:
    """Return where two sessions part for good, and why; None where they take the same way.

    Args:
        db: the store that both are in.
        found: what is different between them.
    """
    first = first_row(found.diverges)
    if first is None:
        return None
    row, lasting = first
    a, b = found.a, found.b
    i, j = step_of_each(found, row)
    cause, note = _cause(db, found, row, i, j)
    return Divergence(row, *_numbered(a, b, i, j), lasting, _what(a, b, i, j), cause, note)


def step_of_each(found: Differences, row: int) -> tuple[int | None, int | None]:
    """Return the first step that either run has from a row on, None where it has ended."""
    i = j = 0
    for op, (of_a, of_b) in zip(found.ops[:row], found.places, strict=False):
        if of_a is not None and op != "move":  # what moved stands where b has it
            i = of_a + 1
        if of_b is not None:
            j = of_b + 1
    return i if i < len(found.a) else None, j if j < len(found.b) else None


def _numbered(
    a: Run, b: Run, i: int | None, j: int | None
) -> tuple[int | None, int | None, str | None, str | None]:  # fmt: skip
    """Return the numbers of two steps, counted from 1, and their ids."""
    a_id, b_id = (None if at is None else str(run.steps["event_id"].iloc[at]) for run, at in ((a, i), (b, j)))
    return None if i is None else i + 1, None if j is None else j + 1, a_id, b_id


def _where(a_step: int | None, b_step: int | None) -> str:
    if a_step == b_step or a_step is None or b_step is None:
        return f"step {a_step or b_step}"
    return f"step {b_step} ({a_step} in a)"


def _what(a: Run, b: Run, i: int | None, j: int | None) -> str:
    """Return what is different there, in words."""
    if j is None:
        return f"is where b ends and a goes on with {_named(a, i or 0)}"
    if i is None:
        return f"is where a ends and b goes on with {_named(b, j)}"
    kind = a.kind(i)
    if kind != b.kind(j) or (kind == "tool_call" and a.name(i) != b.name(j)):
        return f"is {_named(b, j)} instead of {_named(a, i)}"
    if kind in _CHOOSE:
        one, other = choice(a, i), choice(b, j)
        if one.startswith(_ANSWER) and other.startswith(_ANSWER):
            return f"answered {other.removeprefix(_ANSWER)} instead of {one.removeprefix(_ANSWER)}"
        if one != other:
            return f"chose {other} instead of {one}"
    if kind == "tool_call" and a.failed(i) != b.failed(j):
        return f"is {b.name(j)}, which {'failed' if b.failed(j) else 'did not fail'}"
    found = next(iter(changes(_behaviour(a, i), _behaviour(b, j))), None)
    if found is None:
        return f"is {_named(b, j)} once more"
    if kind == "agent_turn" and found.path == "content":
        return f"has {b.name(j)} say {_quoted(found.after)} instead of {_quoted(found.before)}"
    return f"{'chose' if kind in _CHOOSE else 'is'} {_named(b, j)} with another {_told(found)}"


def _behaviour(run: Run, row: int) -> dict[str, Any]:
    return {**run.contents[row].did, **run.contents[row].said}


def _told(change: Change) -> str:
    return f"{_IN_ARGUMENTS.sub('', change.path)} ({_quoted(change.after)} instead of {_quoted(change.before)})"


def _named(run: Run, row: int) -> str:
    kind = run.kind(row)
    if kind in _CHOOSE:
        return choice(run, row)
    return f"{kind.replace('_', ' ')} {run.name(row)}" if kind != "tool_call" else run.name(row)


def choice(run: Run, row: int) -> str:
    """Return what a model or an agent decided to do."""
    did = run.contents[row].did
    called = [as_text(call.get("name")) for call in did.get("tool_calls", ()) if isinstance(call, dict)]
    if called:
        return " and ".join(called)
    if run.kind(row) == "decision":
        return _quoted(did.get("chosen_action", run.name(row)))
    return f"{_ANSWER}{_quoted(run.contents[row].said.get('content', 'nothing'))}"


def _quoted(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else comparable(value).decode("utf-8", "replace")
    text = " ".join(text.split())
    cut = text if len(text) <= _QUOTED else f"{text[: _QUOTED - 1]}…"
    return cut if text.isidentifier() or not isinstance(value, str) else f"“{cut}”"


def _cause(db: Database, found: Differences, row: int, i: int | None, j: int | None) -> tuple[Cause | None, str]:
    """Return what was different in the input of the step that diverged, and how the sentence goes on."""
    earlier = [at for at in range(row) if found.ops[at] != "=" and _is_input(found, at)]
    one, other = _request(db, found.a, i), _request(db, found.b, j)
    if one is None or other is None:
        return _first(found, earlier, "what came before", "")
    before, after = ([_message(each) for each in request.messages or ()] for request in (one, other))
    pairs = itertools.zip_longest(before, after)
    differs = next((pair for pair in pairs if comparable(pair[0]) != comparable(pair[1])), None)
    if differs is None:
        return None, _same_input(one, other) if before else ""
    said = "\n".join(text for message in differs for text in texts_in(message))
    telling = [at for at in earlier if any(_stands_in(said, text) for text in _different(found, at))]
    cause, note = _first(found, telling or earlier, "its input", said)
    if cause is None:
        role = as_text((differs[1] or differs[0]).get("role"))
        note = f"; its input differs in the {_ROLES.get(role, 'conversation')}"
    return cause, note


def _first(found: Differences, rows: Sequence[int], subject: str, said: str) -> tuple[Cause | None, str]:
    """Return the first of these rows as the cause, naming what stands in the text that was read."""
    if not rows:
        return None, ""
    i, j = found.places[rows[0]]
    numbered = _numbered(found.a, found.b, i, j)
    changed = list(found.inputs(rows[0]))
    read = (each for each in changed if any(_stands_in(said, text) for text in texts_in([each.before, each.after])))
    first = next(read, changed[0] if changed else None)
    named = found.b.name(j) if j is not None else found.a.name(i or 0)
    what = f"{subject} first differed at {_where(*numbered[:2])} ({named if first is None else first.path})"
    return Cause(*numbered, what), f"; {what}"


def _is_input(found: Differences, row: int) -> bool:
    return None in found.places[row] or next(found.inputs(row), None) is not None


def _different(found: Differences, row: int) -> Iterator[str]:
    """Yield the texts that only one of the runs tells at a row."""
    i, j = found.places[row]
    if i is not None and j is not None:
        for each in found.inputs(row):
            yield from texts_in([each.before, each.after])
    else:
        yield from texts_in(found.a.contents[i].all if i is not None else found.b.contents[j or 0].all)


def _stands_in(said: str, text: str) -> bool:
    return len(text) >= _SHORTEST and text in said


def _request(db: Database, run: Run, at: int | None) -> LLMRequest | None:
    """Return the request whose answer a step is, or came from."""
    kinds = run.steps["event_type"]
    while at is not None and at >= 0 and kinds.iloc[at] not in ("llm_request", "agent_start"):
        at -= 1
    if at is None or at < 0 or kinds.iloc[at] != "llm_request":
        return None
    (found,) = reader.events_by_id(db, [run.steps["event_id"].iloc[at]])
    return found if isinstance(found, LLMRequest) else None


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict):
        return {"role": None, "content": message}
    asked = [(call.name, call.arguments) for call in calls.tool_requests(message.get("tool_calls"))]
    return {"role": message.get("role"), "content": calls.parts_of(message) or message.get("output"), "calls": asked}


def _same_input(one: LLMRequest, other: LLMRequest) -> str:
    for name in ("model", "settings", "tools"):
        if comparable(getattr(one, name)) != comparable(getattr(other, name)):
            return f"; it read the same, with {'another model' if name == 'model' else f'other {name}'}"
    return "; its input was the same"
