"""`jupyter peek run` runs a program as `python` would, and records it."""

from __future__ import annotations

import signal
import subprocess
import zipfile
from pathlib import Path

import pytest

import peaky_peek as pp
from tests import programs
from tests.loopback import Loopback, message
from tests.programs import AGENT, ROOT, write

PROGRAMS = {
    "what it knows of itself": """
        "It has a docstring."
        import sys
        print(__doc__, __name__, __file__, __package__, __spec__, type(__loader__).__name__, sys.argv, sys.path[0])
        print(sys.modules["__main__"].__dict__ is globals())
        """,
    "what lies beside it": "import neighbour; print(neighbour.WORD)",
    "an exception": "def f():\n    raise ValueError('so')\nf()",
    "a chain of exceptions": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('so') from e",
    "no Python": "print('before')\nthis is not Python",
    "an exit code": "import sys; print('bye'); sys.exit(3)",
    "an exit with words": "import sys; sys.exit('something is missing')",
    "an exit by hand": "raise SystemExit(4)",
    "no exit": "import sys\ntry:\n    sys.exit(3)\nexcept SystemExit:\n    print('not yet')",
    "an interrupt": "raise KeyboardInterrupt",
    "a hook of its own": """
        import sys
        sys.excepthook = lambda kind, error, trace: print(kind.__name__, trace.tb_frame.f_code.co_filename)
        raise ValueError
        """,
    "a farewell": "import atexit; atexit.register(lambda: print(__name__, WORD)); WORD = 'bye'",
    "what is pickled": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
    "processes": """
        import multiprocessing
        def double(x): return 2 * x
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(double, [1, 2]))
        """,
    "standard input": "print(input())",
    "an error that looks like ours": "import sqlite3; raise sqlite3.DatabaseError('theirs')",
}


def same(python: list[str | Path], ours: list[str | Path], cwd: Path) -> None:
    """Both command lines do the same, as far as anybody can see."""
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "PEAKY_PEEK_DB": str(cwd / "peek.db"), "HOME": str(cwd)}
    wanted, found = (
        subprocess.run(
            [programs.sys.executable, *map(str, command)], capture_output=True, text=True, cwd=cwd, env=environment,
            input="typed\n", timeout=60,
        )
        for command in (python, ["-m", "peaky_peek", "run", *ours])
    )  # fmt: skip
    assert (found.returncode, found.stdout, found.stderr) == (wanted.returncode, wanted.stdout, wanted.stderr)


@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
def test_a_script_does_what_it_does_without_us(source: str, tmp_path: Path) -> None:
    import textwrap

    write(tmp_path, "WORD = 'here'", "scripts/neighbour.py")
    script = write(tmp_path, textwrap.dedent(source), "scripts/agent.py").relative_to(tmp_path)
    same([script, "-m", "--db", "x"], [script, "-m", "--db", "x"], tmp_path)


def test_a_link_to_a_script_finds_what_lies_beside_the_script(tmp_path: Path) -> None:
    write(tmp_path, "WORD = 'here'", "scripts/neighbour.py")
    link = tmp_path / "linked.py"
    link.symlink_to(write(tmp_path, "import neighbour, sys; print(neighbour, __file__, sys.argv)", "scripts/agent.py"))
    same([link], [link], tmp_path)


@pytest.mark.parametrize("name", ["agent", "bundle", "bundle.inner"])
def test_a_module_does_what_it_does_without_us(name: str, tmp_path: Path) -> None:
    source = "import sys; print(__name__, __file__, __package__, __spec__.name, sys.argv, sys.path[0]); sys.exit(2)"
    for path in ("agent.py", "bundle/__init__.py", "bundle/__main__.py", "bundle/inner.py"):
        write(tmp_path, source if path != "bundle/__init__.py" else "", path)
    same(["-m", name, "-m", "x"], ["-m", name, "-m", "x"], tmp_path)


def test_a_folder_and_an_archive_do_what_they_do_without_us(tmp_path: Path) -> None:
    source = "import sys, neighbour; print(neighbour.WORD, __name__, __file__, __package__, sys.argv, sys.path[0])"
    write(tmp_path, source, "program/__main__.py")
    write(tmp_path, "WORD = 'here'", "program/neighbour.py")
    with zipfile.ZipFile(tmp_path / "program.pyz", "w") as archive:
        for path in (tmp_path / "program").glob("*.py"):
            archive.write(path, path.name)
    for program in ("program", "program.pyz"):
        same([program, "x"], [program, "x"], tmp_path)


@pytest.mark.parametrize("arguments", [["nowhere.py"], ["-m", "nowhere"], ["-m", "json"], ["-m", "no.where"]])
def test_what_is_no_program_is_said_in_a_sentence(arguments: list[str], tmp_path: Path) -> None:
    ran = programs.run("-m", "peaky_peek", "run", *arguments, PYTHONPATH=str(ROOT))
    assert ran.returncode == 2
    assert ran.stderr.startswith("There is no ")
    assert ran.stderr.count("\n") == 1


def test_what_it_asks_of_models_is_recorded_with_that_of_programs_it_starts(tmp_path: Path) -> None:
    script = write(tmp_path, f"{AGENT}\nprint(os.environ['PEAKY_PEEK_AUTO_PATCH'], os.environ['PEAKY_PEEK_DB'])")
    db = tmp_path / "chosen.db"
    with Loopback(message("Hello!"), message("Hello again!")) as server:
        told = {"MODEL": server.url, "PYTHONPATH": str(ROOT)}
        ran = programs.run("-m", "peaky_peek", "run", "--db", db, script, **told)
        as_module = programs.run(
            "-m", "peaky_peek", "run", "--db", db, "-m", "bundle.agent", **told | {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
        ) if write(tmp_path, AGENT, "bundle/agent.py") else None  # fmt: skip
    assert (ran.stderr, ran.stdout) == ("", f"Hello!\ntrue {db}\n")
    assert as_module is not None
    assert as_module.stdout == "Hello again!\n"
    pp.init(db=db)
    sessions = pp.sessions()
    assert sessions.name.tolist() == ["agent", "bundle.agent"]
    assert sessions.status.tolist() == ["completed", "completed"]
    assert sessions.llm_calls.tolist() == [1, 1]


@pytest.mark.parametrize(("code", "status"), [("0", "completed"), ("4", "failed"), ("'so'", "failed")])
def test_the_code_of_an_exit_by_hand_is_known_here(code: str, status: str, tmp_path: Path) -> None:
    script = write(tmp_path, f"{AGENT}\nraise SystemExit({code})")
    with Loopback(message("Hello!")) as server:
        told = {"MODEL": server.url, "PYTHONPATH": str(ROOT), "PEAKY_PEEK_DB": str(tmp_path / "peek.db")}
        programs.run("-m", "peaky_peek", "run", script, **told)
    pp.init(db=tmp_path / "peek.db")
    assert pp.sessions().status.tolist() == [status]


def test_ctrl_c_ends_the_program_and_its_session(tmp_path: Path) -> None:
    script = write(tmp_path, f"{AGENT}\nimport signal\nprint('ready', flush=True)\nsignal.pause()")
    with Loopback(message("Hello!")) as server:
        environment = programs.os.environ | {"MODEL": server.url, "PEAKY_PEEK_DB": str(tmp_path / "peek.db")}
        with subprocess.Popen(
            [programs.sys.executable, "-m", "peaky_peek", "run", script], env=environment, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            while process.stdout.readline() != "ready\n":
                pass
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
    assert (process.returncode, said.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt"), said
    pp.init(db=tmp_path / "peek.db")
    assert pp.sessions().status.tolist() == ["interrupted"]
