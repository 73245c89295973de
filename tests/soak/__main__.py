"""Runs the failure scenarios in turn, each round with a fresh seed, until the time is up.

`python -m tests.soak kill` runs only those whose names contain the words given. Environment:
`PEAKY_PEEK_SOAK_SECONDS` (600) and `PEAKY_PEEK_SOAK_SEED`, the seed of the first round; each later round adds 1 to it.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.soak import Scenario

LONGEST_ROUND = 240
"""Seconds after which a round hangs: every thread's stack is shown, and the soak ends."""


def main() -> int:
    """Run the scenarios and return how many of them broke."""
    seconds = float(os.environ.get("PEAKY_PEEK_SOAK_SECONDS", "600"))
    first = int(os.environ.get("PEAKY_PEEK_SOAK_SEED") or random.SystemRandom().randrange(1_000_000))
    with tempfile.TemporaryDirectory(prefix="peaky-peek-soak-") as home:
        os.environ |= {"PEAKY_PEEK_STRICT": "1", "PEAKY_PEEK_DB": str(Path(home) / "default.db")}
        scenarios = [one for one in _scenarios() if all(word in one.name for word in sys.argv[1:])]
        print(f"{len(scenarios)} scenarios for {seconds:g} s, from PEAKY_PEEK_SOAK_SEED={first}", flush=True)
        survived, broken = _run(scenarios, first, time.monotonic() + seconds)
    for one in scenarios:
        mark = f"BROKEN at PEAKY_PEEK_SOAK_SEED={broken[one.name]}" if one.name in broken else "ok"
        print(f"{one.name:<74} {survived[one.name]:>6} rounds  {mark}", flush=True)
    return len(broken)


def _scenarios() -> list[Scenario]:
    modules = sorted(path.stem for path in Path(__file__).parent.glob("soak_*.py"))
    return [one for name in modules for one in importlib.import_module(f"tests.soak.{name}").scenarios()]


def _run(scenarios: list[Scenario], seed: int, deadline: float) -> tuple[dict[str, int], dict[str, int]]:
    """Return the rounds that each scenario survived, and the seeds of those that broke; each has one round at least."""
    survived, broken = dict.fromkeys((one.name for one in scenarios), 0), {}
    while True:
        for one in scenarios:
            if survived[one.name] and time.monotonic() > deadline:
                return survived, broken
            if one.name in broken:
                continue
            print(f"  {one.name}, seed {seed}", file=sys.stderr, flush=True)
            faulthandler.dump_traceback_later(LONGEST_ROUND, exit=True)
            try:
                one.run(seed)
                survived[one.name] += 1
            except Exception:  # noqa: BLE001 - the others go on
                traceback.print_exc()
                broken[one.name] = seed
            faulthandler.cancel_dump_traceback_later()
        if len(broken) == len(scenarios):
            return survived, broken
        seed += 1


if __name__ == "__main__":
    sys.exit(min(main(), 1))
