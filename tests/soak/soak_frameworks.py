"""A process is killed in the midst of a framework's run, at any moment, again and again."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from tests.frameworks import environments
from tests.frameworks.kills import IN, run_and_kill
from tests.soak import Scenario

_NEEDS = {name: environment for environment, names in IN.items() for name in names}


def killed(name: str, seed: int) -> None:
    """Kill a program that is built on a framework, in the environment that the framework needs."""
    with tempfile.TemporaryDirectory() as folder:
        run_and_kill(Path(folder), name, seed, environments.python(_NEEDS[name]))


def scenarios() -> list[Scenario]:
    """Return what `make soak` runs."""
    return [Scenario(f"killed in a run of {name}", partial(killed, name)) for name in sorted(_NEEDS)]
