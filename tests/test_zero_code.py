"""`PEAKY_PEEK_AUTO_PATCH=true python agent.py` records an agent that knows nothing of it, wherever it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import peaky_peek as pp
from peaky_peek import auto_patch
from peaky_peek.capture import autopatch, frameworks, transport
from tests import programs
from tests.installed import ROOT, build, environment, install, site_packages
from tests.loopback import Loopback, message
from tests.programs import AGENT, write

MODULES = "import sys, json; print(json.dumps(sorted(sys.modules)))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    result = build("wheel", ROOT, out)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that the wheel is installed in."""
    made = environment(tmp_path_factory.mktemp("environment"))
    install("uv", made, [str(wheel)])
    return made


@pytest.fixture(scope="module")
def boot() -> ModuleType:
    """What the `.pth` calls, as a module."""
    path = ROOT / "peaky_peek" / "boot" / "_peaky_peek_boot.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(db: Path) -> list[list[object]]:
    """The name, the status and the number of model calls of each session."""
    pp.init(db=db)
    return pp.sessions()[["name", "status", "llm_calls"]].to_numpy().tolist()


@pytest.mark.parametrize("tool", ["pip", "uv"])
@pytest.mark.parametrize("what", ["wheel", "editable"])
def test_an_agent_is_recorded_however_it_is_installed(wheel: Path, tool: str, what: str, tmp_path: Path) -> None:
    python = environment(tmp_path / "environment")
    install(tool, python, [str(wheel)] if what == "wheel" else ["--editable", str(ROOT)])
    agent, db = write(tmp_path, AGENT), tmp_path / "peek.db"
    with Loopback(message("Hello!"), message("Hello!")) as server:
        told = {"MODEL": server.url, "PEAKY_PEEK_DB": str(db)}
        silent = programs.run(agent, python=python, **told)
        ran = programs.run(agent, python=python, **told, PEAKY_PEEK_AUTO_PATCH="true")
    assert not silent.stderr
    assert (ran.stdout, ran.stderr) == (silent.stdout, "") == ("Hello!\n", "")
    assert recorded(db) == [["agent", "completed", 1]]


@pytest.mark.parametrize("option", ["-I", "-E", "-s", "-P", "-B", "-O"])
def test_options_of_python_do_not_keep_it_out(python: Path, option: str, tmp_path: Path) -> None:
    agent, db = write(tmp_path, AGENT), tmp_path / "peek.db"
    with Loopback(message("Hello!")) as server:
        told = {"MODEL": server.url, "PEAKY_PEEK_DB": str(db), "PEAKY_PEEK_AUTO_PATCH": "true"}
        assert programs.run(option, agent, python=python, **told).stdout == "Hello!\n"
    assert recorded(db) == [["agent", "completed", 1]]


def test_programs_that_an_agent_starts_are_recorded_too(python: Path, tmp_path: Path) -> None:
    write(tmp_path, AGENT, "helper.py")
    starter = (
        f"import subprocess, sys\nsubprocess.run([sys.executable, 'helper.py'], cwd={str(tmp_path)!r}, check=True)"
    )
    agent, db = write(tmp_path, starter), tmp_path / "peek.db"
    with Loopback(message("Hello!")) as server:
        told = {"MODEL": server.url, "PEAKY_PEEK_DB": str(db), "PEAKY_PEEK_AUTO_PATCH": "true"}
        assert programs.run(agent, python=python, **told).stdout == "Hello!\n"
    assert recorded(db) == [["helper", "completed", 1]]


def test_without_the_variable_nothing_is_imported_and_nothing_changes(python: Path, tmp_path: Path) -> None:
    bare = environment(tmp_path / "bare")
    wanted = json.loads(programs.run("-c", MODULES, python=bare).stdout)
    assert (site_packages(python.parents[1]) / "peaky_peek.pth").exists()
    assert json.loads(programs.run("-c", MODULES, python=python).stdout) == wanted
    assert json.loads(programs.run("-c", MODULES, python=python, PEAKY_PEEK_AUTO_PATCH="").stdout) == wanted
    for value in ("0", "false", "true"):
        found = json.loads(programs.run("-c", MODULES, python=python, PEAKY_PEEK_AUTO_PATCH=value).stdout)
        assert {*found} - {*wanted} <= {"_peaky_peek_boot", "__future__"}, "only an agent is worth more"


def test_the_entry_point_of_newer_pythons_does_as_the_older_line(python: Path) -> None:
    (line,) = (site_packages(python.parents[1]) / "peaky_peek.start").read_text().splitlines()
    module, _, function = line.partition(":")
    code = f"import sys, {module}; {module}.{function}(); print(sys.meta_path[0] is {module}._waiting)"
    for value, waits in (("0", "False"), ("true", "True")):
        assert programs.run("-c", code, python=python, PEAKY_PEEK_AUTO_PATCH=value).stdout == f"{waits}\n"


def test_the_doctor_sees_that_it_is_in_place(python: Path) -> None:
    said = programs.run("-m", "peaky_peek", "doctor", python=python, PEAKY_PEEK_AUTO_PATCH="true").stdout
    assert "peaky_peek.pth is in place; PEAKY_PEEK_AUTO_PATCH=true records every program that begins here" in said


def test_it_waits_for_whatever_is_hooked_into(boot: ModuleType) -> None:
    hooked = {patch.module for patch in transport._patches._patches} | {each.after for each in frameworks.ADAPTERS}
    assert {module.partition(".")[0] for module in hooked} <= boot.AWAITED
    assert boot.OFF == autopatch._OFF


def test_a_package_that_is_broken_is_said_in_one_line_and_the_agent_runs(python: Path, tmp_path: Path) -> None:
    write(tmp_path, "raise RuntimeError('half an upgrade')", "broken/peaky_peek/__init__.py")
    agent = write(tmp_path, AGENT)
    with Loopback(message("Hello!")) as server:
        told = {"MODEL": server.url, "PEAKY_PEEK_AUTO_PATCH": "true", "PYTHONPATH": str(tmp_path / "broken")}
        ran = programs.run(agent, python=python, **told)
    assert (ran.returncode, ran.stdout) == (0, "Hello!\n")
    assert ran.stderr == "Peaky Peek cannot record this program: RuntimeError: half an upgrade\n"


def test_where_python_reads_no_pth_the_launcher_does_it(wheel: Path, tmp_path: Path) -> None:
    folder, agent, db = tmp_path / "bundled", write(tmp_path, AGENT), tmp_path / "peek.db"
    options = ["--target", str(folder), "--offline", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, "-m", "uv", "--quiet", "pip", "install", *options], check=True)
    python = environment(tmp_path / "environment")
    path = os.pathsep.join([str(folder), str(Path(pytest.__file__).parents[1])])
    with Loopback(message("Hello!"), message("Hello!")) as server:
        told = {"MODEL": server.url, "PEAKY_PEEK_DB": str(db), "PEAKY_PEEK_AUTO_PATCH": "true", "PYTHONPATH": path}
        assert programs.run(agent, python=python, **told).stdout == "Hello!\n"
        assert not db.exists()
        assert programs.run("-S", "-m", "peaky_peek", "run", agent, python=python, **told).stdout == "Hello!\n"
    assert recorded(db) == [["agent", "completed", 1]]


@pytest.mark.parametrize("value", ["true", "all", "1", "openai", "Anthropic, pydantic-ai", " pydanticai"])
def test_names_of_clients_and_frameworks_are_known(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(autopatch.VARIABLE, value)
    importlib.reload(auto_patch)
    assert transport._patches.installed
    assert capsys.readouterr().err == ""


def test_a_list_names_the_frameworks_that_are_hooked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {}
    for value in ("all", "openai", "openai,Pydantic-AI"):
        monkeypatch.setenv(autopatch.VARIABLE, value)
        named[value] = autopatch.named()
    assert named == {"all": None, "openai": frozenset(), "openai,Pydantic-AI": frozenset({"pydantic_ai"})}


def test_a_name_that_nobody_knows_is_said_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(autopatch.VARIABLE, "openai,langchian")
    autopatch.install()
    autopatch.install()
    said = capsys.readouterr().err
    assert said.startswith("Peaky Peek: PEAKY_PEEK_AUTO_PATCH names langchian, but it can be `true` or a list of ")
    assert said.count("\n") == 1
