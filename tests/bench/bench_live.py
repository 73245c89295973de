"""Following a run: what it takes of the kernel's time, what the rules take of an event's, and which loops they find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peaky_peek.analysis.rules import rules
from peaky_peek.capture.context import Limits
from tests import circles, tree_page
from tests.bench.table import Row, at_least, at_most, cpu
from tests.circles import CIRCLES, LOOK_ALIKES, Run
from tests.notebook import notebook

EVENTS, RATE, SECONDS = 100_000, 500, 10
ROOT = Path(__file__).parents[2]
WRITER = f"""
import itertools, sys, time
import peaky_peek as pp

with pp.trace_session("busy") as ctx:
    def step(number):
        ctx.record_tool_call("search", {{"query": f"item {{number}}", "page": number}})
        ctx.record_tool_result("search", {{"found": number, "text": "x" * 200}})
    for number in range({EVENTS // 2}):
        step(number)
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    for number in itertools.count():  # until it is killed
        step(number)
        time.sleep(max(0.0, start + (number + 1) * 2 / {RATE} - time.perf_counter()))
"""
FOLLOW = f"""
import json, time
import peaky_peek as pp
from peaky_peek.widgets import _wire

view = pp.live()
view._receive(view, {{"type": "hello", "version": _wire.VERSION, "view": "bench"}}, [])
time.sleep(1)
before, cpu, wall = len(view._recording), time.process_time(), time.monotonic()
time.sleep({SECONDS})
took = time.process_time() - cpu, time.monotonic() - wall, len(view._recording) - before
view.close()
print(json.dumps(took))
"""


def rows() -> Iterator[Row]:
    """Yield the contract's rows about live views."""
    share, rate = _follow()
    yield at_most(
        f"kernel's time to follow {rate:.0f} events a second, {EVENTS:,} there", 100 * share, 10, " %", " (real kernel)"
    )
    script, styles = ((tree_page.STATIC / f"live.{kind}").stat().st_size / 1024 for kind in ("js", "css"))
    yield at_most("bundle of the live view", script, 60, " KB", f" (and {styles:.1f} KB of styles)")
    small, large = (_rules(steps) for steps in (2_500, 25_000))
    yield Row("all rules, CPU for each event", f"{1e6 * large / 100_000:.1f} us", "", None)
    yield at_most("the same for 100,000 events against 10,000", large / small, 12)
    yield at_least("planted loops found, of 800", *_recall(), "")
    yield at_most("false alarms in 100 clean runs that look like loops (1,200 runs)", _false_alarms(), 1, "")


def _follow() -> tuple[float, float]:
    """Return the share of its time that a kernel spends on following another process, and the events a second."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PEAKY_PEEK_DB": f"{folder}/peek.db", "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        with (
            subprocess.Popen(
                [sys.executable, "-c", WRITER], env=environment, stdin=pipe, stdout=pipe, text=True
            ) as writer,
            notebook(Path(folder)) as kernel,
        ):
            assert writer.stdout is not None
            assert writer.stdin is not None
            assert writer.stdout.readline() == "ready\n"
            kernel.run(f"import os; os.environ['PEAKY_PEEK_DB'] = {folder + '/peek.db'!r}")
            kernel.run("import peaky_peek as pp; pp.events(pp.ALL)")  # all of it is taken in
            writer.stdin.write("\n")
            writer.stdin.flush()
            ran = kernel.run(FOLLOW)
            busy, wall, steps = json.loads(ran.shown[-1])
            writer.kill()
        assert steps > 0, "the kernel followed nothing: its share means nothing"
        return busy / wall, 2 * steps / wall


def _rules(steps: int) -> float:
    run = Run(7)
    run.work(steps)
    watchers = rules(Limits(100.0, frozenset({"loop"})))

    def feed() -> None:
        for event in run.events:
            for rule in watchers:
                if event.event_type in rule.types:
                    list(rule.feed(event))

    return cpu(feed)


def _recall() -> tuple[float, float]:
    found = [
        any(int(alert.related_event_ids[0][1:]) > before for alert in run.alerts)
        for kind in CIRCLES
        for run, before in (circles.planted(kind, seed) for seed in range(100))
    ]
    return sum(found) / len(found), 0.95


def _false_alarms() -> float:
    runs = [circles.clean(kind, seed) for kind in LOOK_ALIKES for seed in range(100)]
    return 100 * sum(bool(run.alerts) for run in runs) / len(runs)
