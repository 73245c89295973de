"""`pp.lint` lists the events that have lost their place in the tree, and the line of code that lost it."""

from __future__ import annotations

import asyncio
import inspect
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import peaky_peek as pp
from peaky_peek.analysis.lint import HINTS
from tests.flows import astep, step


def line_of(function: Callable[..., Any], text: str) -> str:
    """Where in this file a line of a function is, as `lint` says it."""
    lines, start = inspect.getsourcelines(function)
    (number,) = [start + index for index, line in enumerate(lines) if text in line]
    return f"test_lint.py:{number} in {function.__name__}"


def found(session: Any = None) -> list[tuple[Any, ...]]:
    return list(pp.lint(session)[["event_type", "name", "problem", "where", "code"]].itertuples(index=False, name=None))


def handle(job: str) -> None:
    with_result = step(job)
    assert with_result == job


def consume(jobs: queue.SimpleQueue[str | None], done: threading.Event) -> None:
    while (job := jobs.get()) is not None:
        handle(job)
    done.set()


def test_a_thread_that_began_before_the_session_is_named_with_its_line() -> None:
    jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    done = threading.Event()
    thread = threading.Thread(target=consume, args=(jobs, done))
    thread.start()
    with pp.trace_session("s"):
        step("in its place")
        jobs.put("lost")
        jobs.put(None)
        done.wait()
    thread.join()
    where = line_of(consume, "handle(job)")
    assert found() == [("tool_call", "step", "recorded outside its context", where, "handle(job)")]
    assert "inside the session" in pp.lint().hint[0]
    assert pp.event(pp.lint().event_id[0]).metadata == {
        "context": "inferred", "at": where, "code": "handle(job)", "recorded_at": line_of(handle, "step(job)"),
    }  # fmt: skip


def test_a_callback_that_was_registered_outside_every_session_is_named_with_its_line() -> None:
    def call_back() -> None:
        step("called back")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0, call_back)
        async with pp.trace_session("s"):
            await astep("in its place")
            await asyncio.sleep(0.001)

    asyncio.run(main())
    where = line_of(call_back, 'step("called back")')
    assert found() == [("tool_call", "step", "recorded outside its context", where, 'step("called back")')]


def test_what_is_ambiguous_between_two_sessions_is_found_in_the_one_named_after_the_script() -> None:
    sessions = [pp.start_session(name) for name in ("a", "b")]
    thread = threading.Thread(target=step, args=("lost",))
    pp.capture.context.CURRENT.set(None)
    thread.start()
    thread.join()
    for session in sessions:
        session.end()
    (row,) = found(pp.ALL)
    assert row[2] == "recorded outside its context"
    assert row[3] == f"thread {thread.name}"  # no line of the user's is at work


def test_events_after_the_end_of_their_session_are_named_with_their_line() -> None:
    with pp.trace_session("s") as ctx:
        pass
    ctx.record_decision("too late")
    (row,) = found()
    assert row[:3] == ("decision", "decision", "recorded after its session ended")
    assert row[3].endswith(" in test_events_after_the_end_of_their_session_are_named_with_their_line")
    assert row[4] == 'ctx.record_decision("too late")'


def test_wrong_parents_missing_calls_and_open_spans_are_found() -> None:
    with pp.trace_session("other") as other:
        elsewhere = other.record_decision("elsewhere")
    with pp.trace_session("s") as ctx:
        ctx.record_decision("a", parent_id="nobody")
        ctx.record_decision("b", parent_id=elsewhere)
        ctx.record_tool_result("t", 1)
        ctx.record_llm_response("m", "hello")
        ctx.record_tool_call("u")
        pp.trace_session("forgotten").open()
    assert [(row[0], row[2]) for row in found("s")] == [
        ("decision", "parent not recorded"),
        ("decision", "parent in another session"),
        ("tool_result", "answer without its call"),
        ("llm_response", "answer without its call"),
        ("tool_call", "never closed"),
        ("agent_start", "never closed"),
    ]
    assert pp.lint("s")[["where", "code"]].isna().all(axis=None)


def test_what_has_kept_its_place_is_not_listed() -> None:
    step("in a script without sessions")
    with pp.trace_session("s") as ctx:
        call = ctx.record_tool_call("t")
        ctx.record_tool_result("t", 1, parent_id=call)
        with pp.trace_session("nested", new_session=True):
            step("nested")
        asked = ctx.record_llm_request("m", [])
        ctx.record_llm_response("m", "hello", parent_id=asked)
        assert found() == []  # what is still open may still be closed
    assert found(pp.ALL) == []


def test_the_frame_has_its_columns_and_dtypes_even_when_it_is_empty() -> None:
    dtypes = {name: pd.Series(dtype=dtype).dtype for name, dtype in pp.SCHEMA["lint"].items()}
    with pp.trace_session("s") as ctx:
        pass
    assert dict(pp.lint().dtypes) == dtypes
    ctx.record_decision("late")
    assert len(pp.lint()) == 1
    assert dict(pp.lint().dtypes) == dtypes


def test_secrets_in_a_line_of_code_are_not_recorded() -> None:
    key = "sk-proj-" + "aB3dE5gH7jK9" * 4
    code = compile(f"\n\nctx.record_decision(str('{key}' and 1))", "<cell>", "exec")
    import linecache

    linecache.cache["<cell>"] = (1, None, ["\n", "\n", f"ctx.record_decision(str('{key}' and 1))\n"], "<cell>")
    with pp.trace_session("s") as ctx:
        pass

    thread = threading.Thread(target=exec, args=(code, {"ctx": ctx}))
    thread.start()
    thread.join()
    (said,) = pp.lint().code
    assert said.startswith("ctx.record_decision(str(")
    assert key not in said


def test_the_code_of_the_page_on_processes_runs_as_a_script(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "processes.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(blocks))
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("page.py:")
    problems = re.findall(r"^\| ((?:`[a-z ]+`(?:, )?)+) \|", page.partition("| `problem`")[2], re.MULTILINE)
    assert re.findall(r"`([a-z ]+)`", " ".join(problems)) == list(HINTS)
