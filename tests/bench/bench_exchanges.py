"""The share of real exchanges that are recorded exactly; `python -m tests.bench.exchanges` takes others."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from tests.bench.exchanges import read, report
from tests.bench.table import Row, at_least
from tests.loopback import DATA

SAMPLES = ("openai_chat_exchanges", "openai_exchanges", "anthropic_exchanges")


def rows() -> Iterator[Row]:
    """Yield a row for each sample of real exchanges in the repository."""
    warnings.simplefilter("ignore")  # of models that are deprecated, by the SDKs
    for sample in SAMPLES:
        played = list(read(DATA / f"{sample}.jsonl"))
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            share = report(played, Path(folder) / "peek.db")
        name = sample.replace("_", " ").replace("openai", "OpenAI").replace("anthropic", "Anthropic")
        yield at_least(f"{len(played)} real {name} recorded exactly", 100 * share, 100, " %")
