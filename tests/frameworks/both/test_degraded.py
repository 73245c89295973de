"""A framework whose hook has moved is recorded by its model calls; one line says so, and so does the doctor."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import peaky_peek as pp
from peaky_peek.capture import frameworks
from peaky_peek.store import Database, notices
from tests import programs
from tests.frameworks import agents, environments
from tests.frameworks.kills import IN, WIRE
from tests.frameworks.quiet import QUIET
from tests.frameworks.trees import outline, tree
from tests.loopback import Loopback, message, tool_call
from tests.programs import ROOT, write

HOOKS = {
    "autogen": ("autogen_core.tools", "BaseTool", "run_json"),
    "crewai": ("crewai.events.event_bus", "CrewAIEventsBus", "emit"),
    "langchain": ("langchain_core.tracers.context", None, "register_configure_hook"),
    "llama_index": ("llama_index.core.instrumentation", None, "get_dispatcher"),
    "openai_agents": ("agents.run", "AgentRunner", "run"),
    "pydantic_ai": ("pydantic_ai.capabilities", None, "AbstractCapability"),
}
"""What each adapter stands on: a module, a class in it, and the name that is gone."""
NAMES = [name for name in IN[environments.current()] if name not in WIRE]
TITLES = {each.module: each.name for each in frameworks.ADAPTERS}
REMOVES = """
from peaky_peek.capture.imports import when_imported

def remove(module, owner, name):
    delattr(getattr(module, owner) if owner else module, name)

for module, owner, name in {removed!r}:
    when_imported(module, lambda found, owner=owner, name=name: remove(found, owner, name))
"""


@pytest.fixture(autouse=True)
def clients(hook: None) -> Iterator[None]:
    yield
    gc.collect()  # here it is known whose clients are left open


@pytest.mark.filterwarnings("ignore:Resolved model mismatch:UserWarning")  # AutoGen's own
@pytest.mark.parametrize("name", NAMES)
async def test_without_its_hook_a_frameworks_model_calls_are_recorded_and_one_line_says_so(
    name: str, store: Database, server: Loopback, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    module, owner, hook = HOOKS[name]
    (adapter,) = (each for each in frameworks.ADAPTERS if each.module == name)
    import_module(adapter.after)
    frameworks.uninstall()
    monkeypatch.setattr(notices, "_said", set())
    with monkeypatch.context() as moved:
        found = import_module(module)
        moved.delattr(getattr(found, owner) if owner else found, hook)
        frameworks.install(frozenset({name}))
    (said,) = (line for line in capfd.readouterr().err.splitlines() if "Peaky Peek" in line)
    assert f"does not know this version of {adapter.name}" in said
    assert hook in said
    monkeypatch.setenv("PEAKY_PEEK_AUTO_PATCH", name)
    server.answer(message(tool_calls=[tool_call("c1", "weather", city="Rome")]), message("It rains."))
    with pp.trace_session("mine"):
        await agents.RUN[name](server)
    assert outline(store) == tree("""
        session mine completed
          agent mine
            llm gpt-4o-mini 11/7
            decision weather
            tool weather {'city': 'Rome'} -> 'rain in Rome' (derived)
            llm gpt-4o-mini 11/7
    """)
    assert "Peaky Peek" not in capfd.readouterr().err


def test_the_doctor_says_of_each_framework_without_its_hook_what_is_missing(tmp_path: Path) -> None:
    write(tmp_path, REMOVES.format(removed=[HOOKS[name] for name in NAMES]), "sitecustomize.py")
    path = os.pathsep.join(map(str, (tmp_path, ROOT)))
    ran = programs.run("-m", "peaky_peek", "doctor", PYTHONPATH=path, PEAKY_PEEK_STRICT="0", **QUIET)
    assert ran.returncode == 1
    for name in NAMES:
        (problem,) = (line for line in ran.stderr.splitlines() if f"Of {TITLES[name]} only the model calls" in line)
        assert HOOKS[name][-1] in problem
        (fact,) = (line for line in ran.stdout.splitlines() if f"{TITLES[name]} (" in line)
        assert "by the wire only" in fact
    assert len(ran.stderr.splitlines()) == len(NAMES)
