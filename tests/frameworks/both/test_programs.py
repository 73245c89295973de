"""Programs that know nothing of us end as they do without us: the same words, the same exit code, nothing of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from peaky_peek.store import Database
from tests import programs
from tests.frameworks import environments
from tests.frameworks.kills import AGENTS, IN, TOOLS, WIRE, Model
from tests.frameworks.quiet import QUIET
from tests.frameworks.trees import events, sessions
from tests.programs import ROOT, write
from tests.replies import host

ENDS = """
def tell(*words):
    print(*words)
    if words[0] == "answer":
        raise SystemExit(3)
"""


@pytest.mark.parametrize("name", IN[environments.current()])
def test_a_program_is_recorded_and_ends_as_it_does_alone(name: str, store: Database, tmp_path: Path) -> None:
    program = write(tmp_path, TOOLS + ENDS + AGENTS[name])
    with Model(10_000) as server:
        told = QUIET | {
            "PYTHONPATH": str(ROOT), "PEAKY_PEEK_DB": str(store.path), "TOLD": str(tmp_path / "told"),
            "OPENAI_BASE_URL": server.url, "OPENAI_API_BASE": server.url, "ANTHROPIC_BASE_URL": host(server),
            "OPENAI_API_KEY": "test", "ANTHROPIC_API_KEY": "test", "CREWAI_STORAGE_DIR": str(tmp_path / "crewai"),
        }  # fmt: skip
        ran = programs.run("-m", "peaky_peek", "run", program, **told)
    words = [line for line in ran.stdout.splitlines() if line.startswith(("weather", "book", "answer"))]
    assert (ran.returncode, sorted(words)) == (3, ["answer 0", "book 1", "weather 1"])
    assert "peaky_peek" not in ran.stderr.lower()
    assert "peaky peek" not in ran.stderr.lower()
    (session,) = sessions(store)
    is_program = name in WIRE
    assert (session["framework"], session["name"] == "agent") == (None if is_program else name, is_program)
    assert session["status"] == ("failed" if is_program else "completed")  # by another exit code than 0
    called = sorted(event.tool_name for event in events(store, "tool_call"))  # some run them side by side
    assert called == ["book", "weather"]
    assert len(server.requests) == session["llm_calls"] == 2
