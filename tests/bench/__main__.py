"""Prints every measurement beside its limit; `python -m tests.bench record frames` runs only those."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path


def main() -> int:
    folder = Path(__file__).parent
    names = sys.argv[1:] or sorted(path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py"))
    width = 74
    print(f"{'what':{width}} {'measured':>24} {'limit':>14}")
    missed = 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix="peaky-peek-bench-") as home:
            os.environ["PEAKY_PEEK_DB"] = str(Path(home) / "default.db")
            for row in importlib.import_module(f"tests.bench.bench_{name}").rows():
                mark = {True: "ok", False: "MISSED", None: ""}[row.ok]
                missed += row.ok is False
                print(f"{row.what:{width}} {row.measured:>24} {row.limit:>14} {mark}", flush=True)
    print(f"{missed} missed" if missed else "every limit is kept")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
