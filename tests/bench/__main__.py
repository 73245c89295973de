"""Prints every measurement beside its limit; `python -m tests.bench record frames` runs only those."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.table import Row, show


def main() -> int:
    """Run every benchmark in a process of its own: what one leaves in memory would flatter or burden the next."""
    names = sys.argv[1:] or sorted(
        path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py")
    )
    if len(names) == 1:
        return run(names[0])
    show([Row("what", "measured", "limit", None)])
    missed = sum(subprocess.run([sys.executable, "-m", "tests.bench", name]).returncode for name in names)
    print(f"{missed} missed" if missed else "every limit is kept")
    return 1 if missed else 0


def run(name: str) -> int:
    """Run one benchmark, print its rows, and return how many limits it missed."""
    with tempfile.TemporaryDirectory(prefix="peaky-peek-bench-") as home:
        os.environ["PEAKY_PEEK_DB"] = str(Path(home) / "default.db")
        return show(importlib.import_module(f"tests.bench.bench_{name}").rows())


if __name__ == "__main__":
    sys.exit(main())
