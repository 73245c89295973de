"""`jupyter peek doctor` says which libraries are recorded here, by which hook, and what is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from peaky_peek.capture import frameworks
from peaky_peek.cli import hooks
from tests import programs
from tests.frameworks import versions
from tests.programs import ROOT, write

AGENT_CLASS = "class Agent:\n    def iter(self, {parameters}): ...\n"


def doctor(*path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return programs.run(
        "-m",
        "peaky_peek",
        "doctor",
        PYTHONPATH=":".join(map(str, [*path, ROOT])),
        **{"PEAKY_PEEK_STRICT": "0"} | environment,
    )


def facts(ran: subprocess.CompletedProcess[str], about: str) -> list[str]:
    """What is said about something, a line each."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in ran.stdout.splitlines():
        key = line[:12].strip() or key
        found.setdefault(key, []).append(line[12:])
    return found[about]


@pytest.fixture
def other_version(tmp_path: Path) -> Path:
    """A PydanticAI that is older than what is tested, and has nothing that we could hook into."""
    write(tmp_path, "", "pydantic_ai/__init__.py")
    write(
        tmp_path,
        "Metadata-Version: 2.1\nName: pydantic-ai-slim\nVersion: 0.9\n",
        "pydantic_ai_slim-0.9.dist-info/METADATA",
    )
    return tmp_path


def test_the_libraries_of_this_environment_are_named_with_their_hook() -> None:
    ran = doctor()
    assert (ran.returncode, ran.stderr) == (0, "")
    assert any(line.startswith("openai ") and line.endswith(", by the wire") for line in facts(ran, "records"))
    (wire,) = facts(ran, "wire")
    assert "httpx " in wire
    assert "httpx2 " in wire


def test_it_says_whether_programs_are_recorded_that_do_not_ask() -> None:
    assert "PEAKY_PEEK_AUTO_PATCH is not set" in facts(doctor(), "start")[0]
    assert "PEAKY_PEEK_AUTO_PATCH is off" in facts(doctor(PEAKY_PEEK_AUTO_PATCH="off"), "start")[0]
    assert "PEAKY_PEEK_AUTO_PATCH=true records" in facts(doctor(PEAKY_PEEK_AUTO_PATCH="true"), "start")[0]


def test_a_framework_that_has_changed_is_a_problem_with_its_reason(other_version: Path) -> None:
    ran = doctor(other_version)
    (line,) = (line for line in facts(ran, "records") if line.startswith("PydanticAI"))
    assert line == "PydanticAI (pydantic-ai-slim 0.9), by the wire only; older than 2.68.0, which is tested"
    assert ran.returncode == 1
    assert ran.stderr.startswith(
        "Of PydanticAI only the model calls are recorded: ImportError: cannot import name 'Agent'"
    )
    assert ran.stderr.count("\n") == 1


def test_a_framework_that_the_variable_leaves_out_is_none(other_version: Path) -> None:
    ran = doctor(other_version, PEAKY_PEEK_AUTO_PATCH="langchain")
    (line,) = (line for line in facts(ran, "records") if line.startswith("PydanticAI"))
    assert "by the wire only: PEAKY_PEEK_AUTO_PATCH does not name it" in line
    assert ran.returncode == 0


def test_a_framework_that_ends_the_process_is_a_problem(other_version: Path) -> None:
    write(other_version, "import os; os._exit(3)", "pydantic_ai/__init__.py")
    ran = doctor(other_version)
    assert "Of PydanticAI only the model calls are recorded: it cannot be tried." in ran.stderr


def test_the_versions_that_are_called_tested_are_the_oldest_that_the_tests_run() -> None:
    oldest: dict[str, str] = {}
    for name in ("a", "b"):
        for distribution, version in versions.locked(name).items():
            known = oldest.setdefault(distribution, version)
            oldest[distribution] = min(known, version, key=hooks._ordered)
    assert {name: oldest.get(name) for name in hooks.TESTED} == hooks.TESTED
    assert {*hooks.BY_THE_WIRE, *(adapter.distribution for adapter in frameworks.ADAPTERS)} <= hooks.TESTED.keys()
