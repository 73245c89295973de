"""Agents in the cells of a notebook: a cell is one session with its agents in it, and shows what it would anyway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from langgraph.checkpoint.memory import InMemorySaver

from peaky_peek.capture import autopatch
from peaky_peek.store import Database
from tests.frameworks import langchain_agents
from tests.frameworks.trees import outline, sessions
from tests.loopback import Loopback, error, message

CELL = """
  agent In [{n}] -> 'Sunny.'
    agent guide
      llm gpt-4o-mini 11/7
      decision weather
      tool weather {{'city': 'Paris'}} -> 'sunny in Paris'
      llm gpt-4o-mini 11/7"""


@pytest.fixture
def shell(store: Database, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell in which an agent was built before the extension is loaded."""
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/trips.ipynb")
    autopatch.uninstall()
    shell = InteractiveShell()
    shell.user_ns["agent"] = langchain_agents.agent(server, checkpointer=InMemorySaver())
    shell.user_ns["ask"] = langchain_agents.ASK
    run(shell, "%load_ext peaky_peek")
    yield shell
    run(shell, "%unload_ext peaky_peek")


def run(shell: InteractiveShell, cell: str) -> Any:
    """Run a cell as a kernel does, and return its result."""
    return shell.run_cell(cell, store_history=True)  # type: ignore[no-untyped-call]


def invoke(shell: InteractiveShell, server: Loopback, how: str, thread: str = "t-1") -> Any:
    server.answer(langchain_agents.calls("c1", "weather", city="Paris"), message("Sunny."))
    config = {"configurable": {"thread_id": thread}}
    return run(shell, f"({how}(ask, {config}))['messages'][-1].content")


@pytest.mark.parametrize("how", ["agent.invoke", "await agent.ainvoke"])
def test_a_cell_is_one_session_with_its_agent_in_it(
    store: Database, server: Loopback, shell: InteractiveShell, how: str
) -> None:
    assert invoke(shell, server, how).result == "Sunny."
    (session,) = sessions(store)
    number = session["name"].removeprefix("In [").removesuffix("]")
    lines = [line for line in outline(store, states=True).splitlines() if "checkpoint" not in line]
    shown = [line.partition(" {'messages'")[0] if "agent guide" in line else line for line in lines]
    assert "\n".join(shown[1:]) == CELL.format(n=number).strip("\n")
    told = {name: session[name] for name in ("framework", "notebook", "task", "thread", "status")}
    assert told == {
        "framework": "langchain", "notebook": "/home/me/trips.ipynb", "task": "How is Paris?", "thread": "t-1",
        "status": "completed",
    }  # fmt: skip
    assert session["cell"]
    assert session["version"] == session["code_hash"]


def test_a_cell_that_raises_shows_no_frame_of_ours(
    store: Database, server: Loopback, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer(error(500))
    failed = run(shell, "agent.invoke(ask, {'configurable': {'thread_id': 't-1'}})")
    assert failed.error_in_exec is not None
    shown = capsys.readouterr()
    assert "scripted failure" in shown.out + shown.err
    assert "peaky_peek" not in shown.out + shown.err
    assert [session["status"] for session in sessions(store)] == ["failed"]


def test_after_it_is_unloaded_and_loaded_again_everything_is_recorded_once(
    store: Database, server: Loopback, shell: InteractiveShell
) -> None:
    for n in (1, 2):
        invoke(shell, server, "agent.invoke", f"t-{n}")
        run(shell, "%unload_ext peaky_peek")
        invoke(shell, server, "agent.invoke", f"u-{n}")
        run(shell, "%load_ext peaky_peek")
    assert [(row["llm_calls"], row["tool_calls"], row["thread"]) for row in sessions(store)] == [
        (2, 1, "t-1"), (2, 1, "t-2"),
    ]  # fmt: skip


def test_cells_that_are_off_are_not_recorded(store: Database, server: Loopback, shell: InteractiveShell) -> None:
    run(shell, "%peek off")
    invoke(shell, server, "agent.invoke")
    run(shell, "%peek on")
    assert sessions(store) == []
