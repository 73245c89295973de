"""The command line: what it prints, what it refuses, and that it starts light."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import peaky_peek as pp
from peaky_peek.cli import layout, main
from peaky_peek.events import AgentEnd, AgentStart, Error, LLMRequest, LLMResponse, ToolCall, ToolResult
from peaky_peek.store import Database
from tests import loopback
from tests.recordings import START, Run

ROOT = Path(__file__).parent.parent


@pytest.fixture
def recorded(store: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A store with two sessions: one that went well, and one whose tool failed and found nothing before."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TZ", "UTC")
    well = Run("well")
    well.add(AgentStart, "weather", input={"city": "Berlin"})
    well.save(store, name="weather", ended_at=START + 2_500_000, outcome="pass")
    run = Run("badly")
    start = run.add(AgentStart, "refund agent", agent="refund agent")
    asked = run.add(LLMRequest, "gpt-4o-mini", start, model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])
    run.add(
        LLMResponse, "gpt-4o-mini", asked, model="gpt-4o-mini", content="Let me look.",
        usage={"input": 900, "output": 100},
        cost_usd=0.0123, duration_ms=842.0,
    )  # fmt: skip
    found = run.add(ToolCall, "find order 日本", start, tool_name="find order 日本", arguments={"id": 7})
    run.add(ToolResult, "find order 日本", found, tool_name="find order 日本", result=[])
    called = run.add(ToolCall, "refund", start, tool_name="refund", arguments={"note": "\x1b[31mred\x1b[0m\x07"})
    run.add(ToolResult, "refund", called, tool_name="refund", error="ValueError: no such order", duration_ms=12_340.0)
    run.add(Error, "ValueError", start, error_type="ValueError", error_message="no such order")
    run.add(AgentEnd, "refund agent", start, duration_ms=14_000.0, status="error")
    run.save(store, name="refund agent", status="failed", ended_at=START + 14_000_000)
    return store


def test_list_shows_each_session_in_a_line_of_aligned_columns(
    recorded: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list"]) == 0
    heading, well, badly = capsys.readouterr().out.splitlines()
    assert heading.split() == "# session status outcome started duration llm tools failed suspect tokens cost".split()
    assert well.split()[:4] == ["0", "weather", "completed", "pass"]
    assert badly.split()[:4] == ["1", "refund", "agent", "failed"]
    assert badly.endswith("14.0 s    1      2       2        1   1,000  $0.0123")
    assert heading.index("status") == well.index("completed") == badly.index("failed")


def test_list_takes_a_query_and_keeps_the_positions_of_all(
    recorded: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "failed", "tool:refund"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["#", "1"]
    assert main(["list", "name:nobody"]) == 0
    assert capsys.readouterr().out == "None of the 2 sessions matches 'name:nobody'.\n"
    assert main(["list", "-n", "1"]) == 0
    assert capsys.readouterr().out.endswith("and 1 older: -n 2 lists them too\n")


def test_show_draws_the_tree_with_marks_and_aligned_numbers(
    recorded: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "refund agent"]) == 0
    title, *steps = capsys.readouterr().out.splitlines()
    assert title.startswith(
        "refund agent  failed · 5 steps · 1 LLM call · 2 tool calls · 2 failed · 1 suspect · 14.0 s"
    )
    assert [step[: step.index("  ", 2)] for step in steps] == [
        "  ○ refund agent",
        "  ├─ ● gpt-4o-mini",
        "? ├─ ■ find order 日本",
        "✕ ├─ ▲ refund",
        "✕ └─ ▲ ValueError",
    ]
    times = {"14.0 s": 0, "842 ms": 1, "12.3 s": 3}
    assert len({layout.width(steps[row][: steps[row].index(time) + len(time)]) for time, row in times.items()}) == 1
    assert steps[1].endswith("$0.0123")
    assert max(layout.width(step) for step in steps) <= 100


@pytest.mark.parametrize("reference", ["1", "-1", "badly", "refund agent"])
def test_show_takes_a_position_a_name_or_an_id(
    recorded: Database, capsys: pytest.CaptureFixture[str], reference: str
) -> None:
    assert main(["show", reference]) == 0
    assert capsys.readouterr().out.startswith("refund agent  failed")


def test_hostile_text_cannot_reach_the_terminal(recorded: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "badly"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_branches_lead_from_parents_to_their_children(store: Database, capsys: pytest.CaptureFixture[str]) -> None:
    deep = Run("deep")
    root = deep.add(AgentStart, "root")
    first = deep.add(AgentStart, "first", root)
    deep.add(AgentStart, "leaf", first)
    last = deep.add(AgentStart, "last", root)
    deep.add(AgentStart, "end", last)
    deep.save(store)
    assert main(["show"]) == 0
    assert [line.strip() for line in capsys.readouterr().out.splitlines()[1:]] == [
        "○ root", "├─ ○ first", "│  └─ ○ leaf", "└─ ○ last", "└─ ○ end"
    ]  # fmt: skip


def test_an_empty_store_says_how_to_begin(store: Database, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "show"):
        assert main([command]) == 0
        assert capsys.readouterr().out.startswith("Nothing recorded yet: ")


def test_load_says_what_it_loaded_and_where(
    store: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chat.json"
    path.write_text(json.dumps([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]))
    assert main(["load", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: 1 session in {store.path}\n"
    assert pp.sessions()["name"].tolist() == ["chat"]


def test_another_store_is_chosen_with_db_and_none_is_made_by_mistake(
    recorded: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.db"
    assert main(["list", "--db", str(missing)]) == 1
    assert capsys.readouterr().err == f"There is no store at {missing}: check the path.\n"
    assert not missing.exists()
    assert main(["list", "--db", str(recorded.path)]) == 0
    assert "refund agent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["show", "nobody"], "No recorded session is called 'nobody': `pp.sessions()` lists them."),
        (["show", "99"], "There is no session at position 99: the store holds 2 (0 to 1)."),
        (["list", "cost:much"], "Cannot read 'cost:much' at character 1 of the query: write it like cost:>0.01."),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(
    recorded: Database, capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    assert main(argv) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"{sentence}\n"


def test_a_file_that_is_no_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be read as one " * 40)
    for command in ("list", "show", "doctor"):
        assert main([command, "--db", str(path)]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert path.read_text().startswith("not a database")


def test_doctor_finds_everything_in_place(recorded: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    facts = dict(
        line.split(maxsplit=1) for line in capsys.readouterr().out.replace("front ends", "front_ends").splitlines()
    )
    assert f"Peaky Peek {pp.__version__}" in facts["versions"]
    assert facts["store"] == f"{recorded.path} (writable)"
    assert facts["holds"].startswith("2 sessions, 10 events, ")
    assert facts["journals"].endswith("0 bytes for the next reader to take in")
    assert "tree (" in facts["widgets"]
    assert "jupyterlab" in facts["front_ends"]


def test_doctor_makes_nothing_and_counts_what_waits(store: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "(made when something is recorded)" in capsys.readouterr().out
    assert not store.path.exists()


def test_doctor_names_what_is_wrong(recorded: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(recorded.path)) as connection, connection:
        connection.execute("INSERT INTO unreadable VALUES ('journal', 1, 'reason', x'00')")
    connection.close()
    assert main(["doctor"]) == 1
    assert "`unreadable`" in capsys.readouterr().err


def python(*arguments: str, db: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PEAKY_PEEK_DB": str(db), "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)


def test_it_runs_as_a_module_and_says_its_version(recorded: Database) -> None:
    ran = python("-m", "peaky_peek", "--version", db=recorded.path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"Peaky Peek {pp.__version__}\n", "")


def test_a_reader_that_has_seen_enough_ends_it_quietly(recorded: Database) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "peaky_peek", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        env=os.environ | {"PEAKY_PEEK_DB": str(recorded.path)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("command", ["list", "doctor"])
def test_list_and_doctor_start_without_pandas(recorded: Database, command: str) -> None:
    code = f"import sys; from peaky_peek.cli import main; main([{command!r}]); print('pandas' in sys.modules)"
    assert python("-c", code, db=recorded.path).stdout.endswith("False\n")


@pytest.mark.parametrize(("value", "names"), [("true", ["agent"]), ("0", [])])
def test_auto_patch_records_a_program_when_the_environment_says_so(
    tmp_path: Path, value: str, names: list[str]
) -> None:
    with loopback.Loopback(loopback.message("Hello!")) as server:
        program = tmp_path / "agent.py"
        program.write_text(
            "import peaky_peek.auto_patch\nfrom openai import OpenAI\n"
            f"client = OpenAI(base_url={server.url!r}, api_key='none')\n"
            "client.chat.completions.create(model='gpt-4o-mini', messages=[{'role': 'user', 'content': 'Hi'}])"
        )
        ran = python(str(program), db=tmp_path / "agent.db", PEAKY_PEEK_AUTO_PATCH=value)
    assert ran.stderr == ""
    pp.init(db=tmp_path / "agent.db")
    assert pp.sessions("type:llm_response status:completed")["name"].tolist() == names
