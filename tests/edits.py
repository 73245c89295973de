"""Edits planted in real runs, with what they did: the truth that an alignment is held to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import peaky_peek as pp
from peaky_peek.analysis import contents
from peaky_peek.analysis.contents import Content, Run
from peaky_peek.analysis.differences import SETS_OUT
from peaky_peek.store import Database

DATA = Path(__file__).parent / "data"
TRACES = ("tau_failures.jsonl.gz", "agentdojo.jsonl", "mini_swe_agent.json.gz")
KINDS = ("insert", "delete", "replace", "move", "repeat")

Step = tuple[Run, int, Content]


@dataclass(frozen=True)
class Planted:
    """A run, its edited twin, which step of it is which of the twin, and the step of either at which they part."""

    a: Run
    b: Run
    truth: frozenset[tuple[int, int]]
    parting: tuple[int, int] | None = None


def real_runs(db: Database, at_least: int = 12) -> list[list[Run]]:
    """The recorded runs of the test data that have so many steps, by where they come from."""
    sources = [pp.load(DATA / name)["session_id"] for name in TRACES]
    found = [[contents.read(db, session_id) for session_id in source] for source in sources]
    return [[run for run in source if len(run) >= at_least] for source in found]


def planted(run: Run, other: Run, seed: int, share: float = 0.08) -> Planted:
    """Plant edits of every kind in a share of the steps."""
    rng = random.Random(seed)
    rows = _edited(run, other, rng, range(1, len(run)), share)
    return Planted(run, _run(rows), _truth(run, rows))


def parted(run: Run, other: Run, seed: int) -> Planted:
    """Plant a few edits, after which the runs come together again, and then the end of another run."""
    rng = random.Random(seed)
    eligible = [at for at in range(6, len(run) - 1) if run.kind(at) not in SETS_OUT]
    at = rng.choice(eligible)
    rows = _edited(run, other, rng, range(1, max(1, at - 4)), 0.05)
    rows = rows[: next(n for n, (_, row, _) in enumerate(rows) if row == at and rows[n][0] is run)]
    start = rng.choice([n for n in range(3, len(other)) if other.kind(n) not in SETS_OUT])
    tail: list[Step] = [(other, n, other.contents[n]) for n in range(start, len(other))]
    return Planted(run, _run([*rows, *tail]), _truth(run, rows), (at, len(rows)))


def f1(found: frozenset[tuple[int, int]], truth: frozenset[tuple[int, int]]) -> float:
    """The harmonic mean of precision and recall."""
    return 2 * len(found & truth) / max(1, len(found) + len(truth))


def _edited(run: Run, other: Run, rng: random.Random, among: range, share: float) -> list[Step]:
    """Return the steps of the twin; each edit stands at least three steps from the next."""
    rows: list[Step] = [(run, row, run.contents[row]) for row in range(len(run))]
    moved: list[tuple[int, list[Step]]] = []
    at, result = 0, []
    free = 0
    while at < len(rows):
        kind = rng.choice(KINDS) if at in among and at >= free and rng.random() < share else ""
        size, target = rng.randint(1, 3), at + rng.randint(9, 15)
        block = rows[at : at + size]
        free = at + size + 4 if kind else free
        if kind == "insert":
            foreign = rng.randrange(1, len(other))
            result.append((other, foreign, other.contents[foreign]))
        elif kind == "repeat":
            result += block
        elif kind == "replace":
            rows[at] = (run, at, _replaced(run, at, rng))
        elif kind == "delete":
            at = min(at + size, among.stop)
        elif kind == "move" and target < among.stop and _is_rare(run, range(at, at + size)):
            moved.append((target, block))
            at += size
        if moved and moved[0][0] <= at:
            result += moved.pop(0)[1]
            free = max(free, at + 4)
        result += rows[at : at + 1]
        at += 1
    return result + [step for _, block in moved for step in block]


def _is_rare(run: Run, rows: range) -> bool:
    return all(run.exact.count(run.exact[row]) == 1 for row in rows)


def _replaced(run: Run, row: int, rng: random.Random) -> Content:
    """Return a step with a part of what it did or said changed."""
    one = run.contents[row]
    mark = f"{rng.random():.9f}"
    if one.said:
        return Content(one.given, one.did, {name: f"{value} {mark}" for name, value in one.said.items()})
    return Content(one.given, {**one.did, "arguments" if "arguments" in one.did else "result": mark}, one.said)


def _run(rows: Sequence[Step]) -> Run:
    steps = pd.concat([run.steps.iloc[[row]] for run, row, _ in rows], ignore_index=True)
    steps["parent"] = -1
    openers = [run.opener(row) for run, row, _ in rows]
    return Run(steps, openers, [content for _, _, content in rows])


def _truth(run: Run, rows: Sequence[Step]) -> frozenset[tuple[int, int]]:
    """Return the pairs; of a step that is there twice the first is the step, and the second its repetition."""
    pairs: dict[int, int] = {}
    for at, (origin, row, _) in enumerate(rows):
        if origin is run:
            pairs.setdefault(row, at)
    return frozenset(pairs.items())
