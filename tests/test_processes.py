"""Every process records on its own, and into the session that its work was started from."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import peaky_peek as pp
from tests.flows import around, step, tree

METHODS = ["fork", "spawn", "forkserver"]


@pytest.mark.parametrize("method", METHODS)
def test_work_for_processes_is_part_of_the_session_it_was_started_in(method: str) -> None:
    processes = multiprocessing.get_context(method)
    with pp.trace_session("s"):
        with (
            ProcessPoolExecutor(1, processes, initializer=step, initargs=("prepared",)) as executor,
            processes.Pool(1) as pool,
        ):
            with pp.trace_session("executor"):
                executor.submit(around, "submitted").result()
                list(executor.map(step, ["mapped"]))
                executor.submit(step, "called").add_done_callback(lambda _: step("back") and None)
            with pp.trace_session("pool"):
                pool.apply(step, ("applied",))
                pool.map(step, ["mapped"])
                pool.starmap_async(step, [("starred",)], callback=lambda _: step("back") and None).get()
                list(pool.imap_unordered(step, ["imapped"]))
            executor.submit(step, "z").result()
        with pp.trace_session("process"):
            process = processes.Process(target=around, args=("child",))
            process.start()
        process.join()
        step("after")
    assert process.exitcode == 0
    assert tree() == (
        "s(after executor(back called mapped prepared submitted(submitted's step)) pool(applied back imapped mapped"
        " starred) process(child(child's step)) z)"
    )
    assert pp.sessions().status.tolist() == ["completed"]


PROGRAM = """
import os, sys
from tests.flows import around, step
around("program")
step("outside")
print(sorted(name for name in os.environ if name.startswith("PEAKY")))
"""
ROOT = Path(__file__).parent.parent


def run(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python code as a program of its own."""
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, **options)


def test_sessions_of_a_program_are_part_of_the_session_that_started_it() -> None:
    with pp.trace_session("s"), pp.trace_session("a"):
        assert run(PROGRAM).returncode == 0
    assert tree() == "s(a(outside program(program's step)))"
    sessions = pp.sessions()
    (root,) = sessions[sessions.name == "s"].session_id
    assert sessions.root_session_id.tolist() == [root] * 3
    assert sessions.status.tolist() == ["completed"] * 3


def test_a_program_with_an_environment_or_a_store_of_its_own_is_not_told(tmp_path: Path) -> None:
    exactly = {"PEAKY_PEEK_DB": str(tmp_path / "other.db"), "PYTHONPATH": str(ROOT)}
    with pp.trace_session("s"):
        assert run(PROGRAM, env=exactly).stdout == "['PEAKY_PEEK_DB']\n"
        assert run(PROGRAM, env=os.environ | exactly).stdout == "['PEAKY_PEEK_DB', 'PEAKY_PEEK_STRICT']\n"
        chosen = f"import peaky_peek as pp; pp.init(db={str(tmp_path / 'third.db')!r})" + PROGRAM
        assert run(chosen).returncode == 0
    assert run(PROGRAM).stdout == "['PEAKY_PEEK_DB', 'PEAKY_PEEK_STRICT']\n"
    assert tree() == "s"
    pp.init(db=tmp_path / "third.db")
    assert tree() == "outside program(program's step)"
    assert pp.sessions().parent_session_id.isna().all()
