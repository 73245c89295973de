"""The diff: how exactly edits planted in real runs are found, and how long two large sessions take."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peaky_peek import store
from peaky_peek.analysis import contents
from peaky_peek.analysis.alignment import align
from peaky_peek.analysis.differences import Differences, told_apart
from peaky_peek.analysis.divergence import first_divergence, first_row, step_of_each
from peaky_peek.events import AgentStart, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import Database
from tests import edits
from tests.bench.table import Row, at_least, at_most, cpu
from tests.recordings import Run

EVENTS = 100_000
SEEDS = 10


def rows() -> Iterator[Row]:
    """Yield the rows about the diff."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _exactness(store.use(Path(folder) / "real.db"))
        yield from _speed(store.use(Path(folder) / "large.db"))
        store.current().close()
        store.use(None)


def _exactness(db: Database) -> Iterator[Row]:
    sources = edits.real_runs(db)
    runs = [(run, kin, number) for number, kin in enumerate(sources) for run in kin]
    found = wrong = missed = exact = parted = 0
    for seed in range(SEEDS):
        for number, (run, _, source) in enumerate(runs):
            planted = edits.planted(run, runs[number - 1 - seed][0], seed * len(runs) + number)
            aligned = frozenset((pair.a, pair.b) for pair in align(planted.a, planted.b))
            found += len(aligned & planted.truth)
            wrong += len(aligned - planted.truth)
            missed += len(planted.truth - aligned)
            strangers = [other for other, _, elsewhere in runs if elsewhere != source]
            parting = edits.parted(run, strangers[seed % len(strangers)], seed * len(runs) + number)
            table = Differences(parting.a, parting.b)
            first = first_row(table.diverges)
            parted += 1
            exact += first is not None and first[1] and step_of_each(table, first[0]) == parting.parting
    note = f" ({SEEDS * len(runs)} twins of {len(runs)} runs)"
    score = 2 * found / (2 * found + wrong + missed)
    yield at_least("edits planted in real runs: F1 of the alignment", score, 0.99, "", note)
    yield at_least("the same, where they were made to part for good: exact", 100 * exact / parted, 98, " %")


def _speed(db: Database) -> Iterator[Row]:
    for name, seed in (("a", None), ("b", 2)):
        large(name, seed).save(db)
    runs = [contents.read(db, name) for name in "ab"]
    aligning = cpu(lambda: align(*runs))

    def whole() -> None:
        table = told_apart(db, "a", "b")
        table.frame()
        first_divergence(db, table)

    pair = f"{EVENTS:,} x {EVENTS:,} events, 5 % edited"
    yield at_most(f"{pair}: aligned", aligning, 6, " s")
    yield at_most(f"{pair}: read, aligned, told apart", min(cpu(whole) for _ in range(3)), 6, " s")


def large(name: str, seed: int | None) -> Run:
    """A session of an agent that thinks and calls tools; with a seed, one that does a twentieth of it differently."""
    rng, edited = random.Random(7), random.Random(seed)
    run = Run(name)
    root = run.add(AgentStart, name, None, agent=name, input="go")
    while len(run.events) < EVENTS:
        tool, number = rng.choice(["search", "read", "run", "edit"]), rng.randrange(10**6)
        is_edited = seed is not None and edited.random() < 0.05
        if is_edited and edited.random() < 0.5:
            continue
        request = run.add(LLMRequest, "gpt", root, agent=name, model="gpt", messages=[])
        asked = {"id": f"call-{number}", "name": tool, "arguments": {"of": number, "deep": {"in": [1, 2, number]}}}
        run.add(LLMResponse, "gpt", request, agent=name, content=f"I {tool} {number}, as was asked", tool_calls=[asked])
        call = run.add(ToolCall, tool, root, agent=name, tool_name=tool, arguments=asked["arguments"])
        result = {"lines": [f"line {line} of {number}" for line in range(5)], "n": number + is_edited}
        run.add(ToolResult, tool, call, agent=name, tool_name=tool, result=result)
    return run
