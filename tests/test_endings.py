"""How a program ends is how its session ends, whether it knows of Peaky Peek or not."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

import peaky_peek as pp
from peaky_peek.store import Database
from tests import programs
from tests.loopback import Loopback, message
from tests.programs import AGENT, ROOT, write

ENDINGS = {
    "comes to its end": ("pass", "completed", None),
    "raises": ("raise ValueError('so')", "failed", "ValueError"),
    "raises deep inside": ("def f():\n    raise ValueError('so')\nf()", "failed", "ValueError"),
    "exits with 1": ("import sys; sys.exit(1)", "failed", "SystemExit"),
    "exits with words": ("import sys; sys.exit('so')", "failed", "SystemExit"),
    "exits with 0": ("import sys; sys.exit(0)", "completed", None),
    "exits with nothing": ("import sys; sys.exit()", "completed", None),
    "exits by hand": ("raise SystemExit(1)", "completed", None),  # Python tells nobody with which code
    "catches its exit": ("import sys\ntry:\n    sys.exit(1)\nexcept SystemExit:\n    pass", "completed", None),
    "exits in a thread": (
        "import sys, threading\nt = threading.Thread(target=sys.exit, args=(1,))\nt.start()\nt.join()",
        "completed", None,
    ),
    "raises in a thread": (
        "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()",
        "completed", None,
    ),
    "is interrupted": ("raise KeyboardInterrupt", "interrupted", None),
    "is killed": ("import os; os.kill(os.getpid(), 9)", "interrupted", None),
    "has a hook of its own": (
        "import sys\nsys.excepthook = lambda *_: print('mine')\nraise ValueError('so')", "completed", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "status", "error"), ENDINGS.values(), ids=ENDINGS)
def test_a_session_ends_as_the_program_does(source: str, status: str, error: str | None, tmp_path: Path) -> None:
    plain = write(tmp_path, f"{AGENT}\n{source}")
    ours = write(tmp_path, f"import peaky_peek.auto_patch\n{AGENT}\n{source}", "watched/agent.py")
    with Loopback(message("Hello!"), message("Hello!")) as server:
        told = {"MODEL": server.url, "PYTHONPATH": str(ROOT), "PEAKY_PEEK_DB": str(tmp_path / "peek.db")}
        wanted = programs.run(plain, **told)
        found = programs.run(ours, **told, PEAKY_PEEK_AUTO_PATCH="true")
    assert (found.returncode, found.stdout) == (wanted.returncode, wanted.stdout)
    assert found.stderr.splitlines()[-1:] == wanted.stderr.splitlines()[-1:]
    assert "peaky_peek" not in found.stderr
    pp.init(db=tmp_path / "peek.db")
    assert pp.sessions()[["name", "status"]].to_numpy().tolist() == [["agent", status]]
    assert pp.events(types="error").error_type.tolist() == ([error] if error else [])


def test_an_exception_that_a_tool_raised_is_recorded_once(tmp_path: Path) -> None:
    script = write(
        tmp_path,
        """
import peaky_peek as pp

@pp.tool
def search(): raise LookupError("nothing")

search()
""",
    )
    ran = programs.run(script, PYTHONPATH=str(ROOT), PEAKY_PEEK_DB=str(tmp_path / "peek.db"))
    assert ran.returncode == 1
    pp.init(db=tmp_path / "peek.db")
    assert pp.sessions().status.tolist() == ["failed"]
    assert pp.events().event_type.tolist() == ["tool_call", "tool_result", "error"]
    assert pp.event(pp.events(types="error").event_id.item()).stack_trace.endswith("LookupError: nothing\n")


def test_hooks_that_were_there_are_called_and_put_back(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    pp.uninstall()
    told: list[type[BaseException]] = []
    hook, leave = (lambda kind, *_: told.append(kind)), sys.exit
    monkeypatch.setattr(sys, "excepthook", hook)
    pp.init()
    assert sys.excepthook is not hook
    sys.excepthook(ValueError, ValueError("so"), None)
    assert told == [ValueError]
    pp.uninstall()
    assert (sys.excepthook, sys.exit) == (hook, leave)


def test_the_shell_sees_an_interrupt_although_we_load_modules_after_it(tmp_path: Path) -> None:
    script = write(tmp_path, f"import peaky_peek.auto_patch\n{AGENT}\nraise KeyboardInterrupt")
    with Loopback(message("Hello!")) as server:
        told = {"MODEL": server.url, "PYTHONPATH": str(ROOT), "PEAKY_PEEK_DB": str(tmp_path / "peek.db")}
        assert programs.run(script, **told, PEAKY_PEEK_AUTO_PATCH="1").returncode == -signal.SIGINT
