"""The environments of the frameworks: built once for each lock, never taken for whole when they are not."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from tests.frameworks import environments
from tests.programs import ROOT

LOCK = "editables==0.5 ; python_version < '3'\n"
"""Of nothing: what is tested is how environments are kept."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments are kept; the lock of `a` is one of nothing."""
    lock = tmp_path / "env_a.txt"
    lock.write_text(LOCK)
    monkeypatch.setattr(environments, "lock", lambda name: lock)
    monkeypatch.setenv("PEAKY_PEEK_TEST_ENVS", str(tmp_path / "kept"))
    return tmp_path / "kept"


def test_an_environment_is_built_once_and_again_for_another_lock(folder: Path) -> None:
    first = environments.python("a")
    made = first.stat().st_ino, first.lstat().st_mtime_ns
    again = environments.python("a")
    assert (again.stat().st_ino, again.lstat().st_mtime_ns) == made
    environments.lock("a").write_text(LOCK + "# another\n")
    assert environments.python("a") != first
    assert len(list(folder.iterdir())) == 2


def test_a_command_in_it_finds_this_checkout_and_knows_where_it_runs(folder: Path, tmp_path: Path) -> None:
    code = f"""
import json, os, sys
json.dump([sys.prefix, sys.path, os.environ["PEAKY_PEEK_TEST_ENV"]], open({str(tmp_path / "said")!r}, "w"))
sys.exit(7)"""
    assert environments.run("a", "-c", code) == 7
    prefix, path, name = json.loads((tmp_path / "said").read_text())
    assert (prefix, name) == (str(environments.python("a").parents[1]), "a")
    assert str(ROOT) in path


def test_a_build_that_is_interrupted_is_not_taken_for_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = environments._uv

    def interrupted(*arguments: str) -> None:
        if arguments[0] == "pip":
            raise KeyboardInterrupt
        uv(*arguments)

    monkeypatch.setattr(environments, "_uv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environments.python("a")
    monkeypatch.setattr(environments, "_uv", uv)
    assert environments.python("a").exists()
    assert len(list(folder.iterdir())) == 1


def test_two_that_build_at_once_end_with_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv, both = environments._uv, threading.Barrier(2)

    def together(*arguments: str) -> None:
        uv(*arguments)
        if arguments[0] == "pip":
            both.wait(60)

    monkeypatch.setattr(environments, "_uv", together)
    found: list[Path] = []
    builders = [threading.Thread(target=lambda: found.append(environments.python("a"))) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(found) == 2
    assert len({*found}) == len(list(folder.iterdir())) == 1


def test_what_nobody_has_used_for_a_week_is_removed(folder: Path) -> None:
    week = 7 * 24 * 3600
    for name, age in (("b-old", week + 60), ("b-new", week - 60), ("building-a-old", week + 60), ("mine", week + 60)):
        (folder / name).mkdir(parents=True)
        os.utime(folder / name, (time.time() - age,) * 2)
    kept = environments.python("a").parents[1]
    assert {path.name for path in folder.iterdir()} == {kept.name, "b-new", "mine"}
