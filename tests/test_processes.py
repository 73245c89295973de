"""Every process records on its own, and into the session that its work was started from."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek.capture.redaction import credentials, detection
from peaky_peek.store import current
from tests.flows import around, step, tree
from tests.soak import soak_fork

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


@pytest.mark.parametrize("seed", [1, 2])
def test_forked_workers_lose_and_double_nothing_and_end_no_session_but_their_own(seed: int) -> None:
    soak_fork.preforked(seed)


def test_eight_processes_record_into_one_store() -> None:
    soak_fork.many_writers(seed=0)


def test_os_exit_right_after_a_record_loses_nothing() -> None:
    run("""
import os
import peaky_peek as pp
with pp.trace_session("doomed") as ctx:
    ctx.record_decision("the last word")
    os._exit(0)
""", env=os.environ | {"PEAKY_PEEK_DB": str(current().path)})  # fmt: skip
    assert pp.decisions("doomed").reasoning.tolist() == ["the last word"]
    assert pp.sessions().status.tolist() == ["interrupted"]


@pytest.mark.parametrize("seed", [0, 1])
def test_daemon_threads_that_record_while_the_interpreter_ends_lose_nothing_and_say_nothing(seed: int) -> None:
    soak_fork.daemons_at_the_end(seed)


SOUGHT = [marker for marker in detection._MARKERS if credentials.is_sought_by_itself(marker)]


@given(pieces=st.lists(st.sampled_from([*SOUGHT, b"x", b" ", b"a1"]), max_size=12))
def test_the_search_for_credentials_at_the_end_of_the_interpreter_finds_the_same(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assert detection.strikes_slowly(data) == detection.prefilter()(data)


def test_a_thread_of_a_forked_child_may_be_its_main_thread() -> None:
    with pp.trace_session("s"):

        def fork() -> None:
            child = os.fork()
            if child == 0:
                around("child")
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0

        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    assert tree() == "s(child(child's step))"


def test_spans_unwound_in_a_forked_child_are_answered_by_its_parent_alone() -> None:
    @pp.tool
    def forks(name: str) -> int:
        with pp.trace_session("span"):
            return os.fork()

    @pp.trace
    def yields() -> Any:
        yield os.fork()
        step("goes on")

    child = -1
    try:
        with pp.trace_session("s"):
            child = forks("forks")
            if child == 0:
                step("in the child")
            else:
                os.waitpid(child, 0)
                for child in yields():
                    if child == 0:
                        break
                    os.waitpid(child, 0)
    finally:
        if child == 0:
            os._exit(0)
    assert tree() == "s(forks(span) in the child yields(goes on))"
    assert pp.sessions().status.tolist() == ["completed"]


def test_a_forked_process_of_multiprocessing_completes_the_session_of_its_script() -> None:
    process = multiprocessing.get_context("fork").Process(target=step, args=("alone",))
    process.start()
    process.join()
    assert tree() == "alone"
    assert pp.sessions().status.tolist() == ["completed"]


SUBINTERPRETER = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import sys
if "first" in sys.argv:
    import peaky_peek
refused = '''
try:
    import peaky_peek
except ImportError as error:
    print(type(error).__mro__[1].__name__, error, flush=True)
'''
failed = interpreters.run_string(interpreters.create(), refused)
sys.exit(str(failed) if failed else 0)
"""


@pytest.mark.parametrize("imported", ["first", "not yet"])
def test_a_subinterpreter_is_refused_in_one_sentence(imported: str) -> None:
    ended = run(SUBINTERPRETER, imported)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (
        "PeekError Peaky Peek records in the main interpreter only: import it there, and use threads or processes"
        " instead of subinterpreters.\n"
    )


def test_an_embedded_interpreter_needs_neither_arguments_nor_a_script_nor_a_main_thread() -> None:
    ended = run("""
import _thread, sys
del sys.argv, __spec__, __name__
done = _thread.allocate_lock()
done.acquire()
def work():
    from tests.flows import step
    step("embedded")
    done.release()
_thread.start_new_thread(work, ())
done.acquire()
""", env=os.environ | {"PEAKY_PEEK_DB": str(current().path)})  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert tree() == "embedded"
    assert pp.sessions().name.tolist() == ["python"]
