"""SIGKILL in the midst of a framework's run: nothing lost, nothing doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.frameworks import environments
from tests.frameworks.kills import IN, MOMENTS, run_and_kill


@pytest.mark.parametrize("moment", MOMENTS[:2])
@pytest.mark.parametrize("name", IN[environments.current()])
def test_a_killed_run_is_in_the_store_as_far_as_it_came(name: str, moment: str, tmp_path: Path) -> None:
    run_and_kill(tmp_path, name, seed=MOMENTS.index(moment))
