"""The life of a notebook in a real kernel: whatever happens to a cell, its session is whole, and nobody else's."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Loopback, stream
from tests.notebook import ROOT, SETUP, Notebook, notebook
from tests.soak.soak_interrupt import interrupts


def story(nb: Notebook) -> list[tuple[str, str, list[Any]]]:
    """The sessions in order: name, status, and the numbers that `add` was called with."""
    return [tuple(found) for found in nb.ask(STORY)]  # type: ignore[misc]


STORY = """(lambda pp: [
    (s.name, s.status, [d["arguments"]["a"] for d in pp.events(s.session_id, types="tool_call", data=True)["data"]])
    for s in pp.sessions().itertuples()])(__import__("peaky_peek"))"""


def interrupted(nb: Notebook, cell: str) -> str:
    """Run a cell, press stop when it says go, and return the name of its session in a plain cell."""
    ran = nb.run(cell, seen=lambda ran: any("go\n" in text for text in ran.shown), then=nb.interrupt)
    assert ran.status == "error"
    return f"In [{ran.execution_count}]"


# Interrupts. Cells wait in many short sleeps: a signal that comes just before a long one is noticed only when it ends.

WORKERS = """stop = threading.Event()
def work(n):
    add(n, n)
    stop.wait()
    add(n + 10, n)
with ThreadPoolExecutor(2) as pool:
    try:
        running = [pool.submit(work, n) for n in (1, 2)]
        while len(running) < 2 or not all(r.running() for r in running): time.sleep(0.01)
        print('go', flush=True)
        while True: time.sleep(0.05)
    finally:
        stop.set()"""


@pytest.mark.parametrize("heading", ["", "%%peek asked -q\n"], ids=["plain", "asked"])
@pytest.mark.parametrize(
    "body",
    [
        "add(1, 1)\nprint('go', flush=True)\nfor _ in range(1200): time.sleep(0.05)",
        "add(1, 1)\nprint('go', flush=True)\nfor _ in range(1200): await asyncio.sleep(0.05)",
        WORKERS,
    ],
    ids=["sync", "async", "threads"],
)
def test_an_interrupted_cell_is_one_interrupted_session_and_the_next_is_another(
    nb: Notebook, heading: str, body: str
) -> None:
    name = interrupted(nb, heading + body)
    after = nb.run("add(9, 9)")
    (first, status, numbers), second = story(nb)
    assert (first, status) == ("asked" if heading else name, "interrupted")
    assert sorted(numbers) in ([1], [1, 2, 11, 12])
    assert second == (f"In [{after.execution_count}]", "completed", [9])


def test_a_traced_agent_that_is_interrupted_is_interrupted_and_the_next_call_of_it_is_whole(nb: Notebook) -> None:
    wait = "for _ in range(1200 if n == 1 else 0): time.sleep(0.05)"
    nb.run(f"@pp.trace\ndef slow(n):\n    add(n, n)\n    print('go', flush=True)\n    {wait}")
    interrupted(nb, "slow(1)")
    nb.run("slow(2)")
    assert story(nb) == [("slow", "interrupted", [1]), ("slow", "completed", [2])]


def test_a_model_call_that_is_interrupted_in_its_stream_is_recorded_as_far_as_it_came(nb: Notebook) -> None:
    gate = threading.Event()
    with Loopback(stream("Hel", "lo!", gate=gate), stream("Again!")) as server:
        nb.run(f"from openai import OpenAI\nclient = OpenAI(base_url={server.url!r}, api_key='none', max_retries=0)")
        ask = "client.chat.completions.create(model='gpt-4o-mini', messages=[{'role': 'user', 'content': 'Hi'}], "
        name = interrupted(nb, f"for chunk in {ask} stream=True): print('go', flush=True)")
        gate.set()
        after = nb.run(f"for chunk in {ask} stream=True): pass")
        nb.run("client.close()")
    first, second = nb.sessions()
    assert [first["name"], first["status"], first["llm_calls"]] == [name, "interrupted", 1]
    assert [second["name"], second["status"], second["llm_calls"]] == [f"In [{after.execution_count}]", "completed", 1]
    answers = nb.ask("pp.events(pp.ALL, types='llm_response', data=True)['data'].tolist()")
    assert [answer.get("content") for answer in answers] == ["Hel", "Again!"]
    assert answers[0]["complete"] is False


def test_tasks_of_an_interrupted_cell_go_on_in_its_session(nb: Notebook) -> None:
    name = interrupted(
        nb,
        "async def work(n):\n    add(n, n)\n    while not released: await asyncio.sleep(0.01)\n    add(n + 10, n)\n"
        "released = []\ntasks = [asyncio.create_task(work(n)) for n in (1, 2)]\nawait asyncio.sleep(0.05)\n"
        "print('go', flush=True)\nfor _ in range(1200): await asyncio.sleep(0.05)",
    )
    after = nb.run("add(9, 9)\nreleased.append(True)\nawait asyncio.gather(*tasks)\nNone")
    assert story(nb) == [
        (name, "interrupted", [1, 2, 11, 12]), (f"In [{after.execution_count}]", "completed", [9])
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_agent_that_is_interrupted_at_any_moment_leaves_whole_sessions_of_its_own(seed: int) -> None:
    interrupts(seed)


# Cells that are run again, or that end in other ways.


def test_a_cell_that_is_run_again_while_its_threads_still_run_is_two_sessions(nb: Notebook) -> None:
    nb.run("gates = [threading.Event(), threading.Event()]; runs = iter((0, 1)); threads = []")
    cell = (
        "run = next(runs)\ndef work(run=run):\n    gates[run].wait(); add(run, 0); add(run, 1)\n"
        "threads.append(threading.Thread(target=work)); threads[-1].start()"
    )
    first = nb.run(cell)
    second = nb.run(cell)
    last = nb.run("for gate in gates: gate.set()\nfor thread in threads: thread.join()\nadd(9, 9)")
    nb.run("'and the next'")
    assert sorted(story(nb)) == sorted([
        (f"In [{first.execution_count}]", "completed", [0, 0]),
        (f"In [{second.execution_count}]", "completed", [1, 1]),
        (f"In [{last.execution_count}]", "completed", [9]),
    ])  # fmt: skip


def test_a_cell_that_is_run_again_while_its_tasks_still_run_is_two_sessions(nb: Notebook) -> None:
    nb.run("released = []; runs = iter((0, 1)); tasks = []")
    cell = (
        "run = next(runs)\nasync def work(run):\n    add(run, 0)\n    while not released: await asyncio.sleep(0.01)\n"
        "    add(run, 1)\ntasks.append(asyncio.create_task(work(run))); await asyncio.sleep(0.01)"
    )
    first = nb.run(cell)
    second = nb.run(cell)
    nb.run("released.append(True)\nawait asyncio.gather(*tasks)\nNone")
    assert story(nb) == [
        (f"In [{first.execution_count}]", "completed", [0, 0]),
        (f"In [{second.execution_count}]", "completed", [1, 1]),
    ]  # fmt: skip


def test_pool_threads_that_outlive_a_cell_work_for_the_cell_that_gave_them_the_work(nb: Notebook) -> None:
    nb.run("pool = ThreadPoolExecutor(1); gate = threading.Event(); held = pool.submit(gate.wait)")
    first = nb.run("one = pool.submit(add, 1, 1)")
    second = nb.run("two = pool.submit(add, 2, 2)")
    nb.run("gate.set(); pool.shutdown()")
    nb.run("'the next'")
    assert sorted(story(nb)) == sorted([
        (f"In [{first.execution_count}]", "completed", [1]), (f"In [{second.execution_count}]", "completed", [2])
    ])  # fmt: skip


THREAD = "t = threading.Thread(target=work); t.start()"
TASK = "async def wait(): await asyncio.to_thread(work)\nt = asyncio.create_task(wait())"


@pytest.mark.parametrize("work", ["add(1, 1)", "agent(1)"], ids=["tool", "agent"])
@pytest.mark.parametrize("start", [THREAD, TASK], ids=["thread", "task"])
def test_what_a_cell_began_says_that_it_is_of_that_cell_whenever_it_does_something(
    nb: Notebook, work: str, start: str
) -> None:
    nb.run(f"gate = threading.Event()\ndef work():\n    gate.wait()\n    {work}")
    origin = "__import__('peaky_peek').capture.context.origin['cell']"
    nb.run(f"mine = {origin}\n{start}")
    nb.run("gate.set()\nwhile not (t.done() if hasattr(t, 'done') else not t.is_alive()): await asyncio.sleep(0.01)")
    nb.run("'the next'")
    assert [session["cell"] for session in nb.sessions()] == [nb.ask("mine")]


def test_a_cell_that_cannot_run_and_a_cell_in_a_cell_leave_the_others_alone(nb: Notebook) -> None:
    assert nb.run("add(1, 1) +").status == "error"
    outer = nb.run("add(2, 2)\nget_ipython().run_cell('add(3, 3)\\n1 / 0')\nadd(4, 4)")
    assert nb.run("%no_such_magic").status == "error"
    after = nb.run("add(5, 5)")
    assert story(nb) == [
        (f"In [{outer.execution_count}]", "completed", [2, 3, 4]), (f"In [{after.execution_count}]", "completed", [5])
    ]  # fmt: skip


def test_a_cell_that_is_cancelled_is_interrupted(nb: Notebook) -> None:
    ran = nb.run("add(1, 1)\nasyncio.current_task().cancel()\nawait asyncio.sleep(60)")
    assert ran.status != "ok"
    after = nb.run("add(2, 2)")
    first, second = story(nb)
    assert first == (f"In [{ran.execution_count}]", "interrupted", [1])
    assert second == (f"In [{after.execution_count}]", "completed", [2])


def test_a_session_that_spans_cells_is_listed_with_what_it_did_so_far(nb: Notebook) -> None:
    nb.run("chat = pp.start_session('chat')\nadd(1, 1)")
    interrupted(nb, "add(2, 2)\nprint('go', flush=True)\nfor _ in range(1200): time.sleep(0.05)")
    nb.run("state = %peek status")
    ((name, events),) = nb.ask("[(s['name'], s['events']) for s in state['open_sessions']]")
    assert (name, events) == ("chat", 5)
    assert nb.ask("state['open_sessions'][0]['age'].total_seconds() > 0")
    assert [(name, status) for name, status, _ in story(nb)] == [("chat", "running")]
    nb.run("add(3, 3)\nchat.end()")
    after = nb.run("add(4, 4)")
    assert story(nb) == [("chat", "completed", [1, 2, 3]), (f"In [{after.execution_count}]", "completed", [4])]


# Kernels that end.


def kill(nb: Notebook) -> None:
    os.kill(nb.manager.provisioner.process.pid, signal.SIGKILL)


def test_a_cell_in_a_kernel_that_is_killed_or_restarted_is_interrupted_with_all_it_recorded(tmp_path: Path) -> None:
    with notebook(tmp_path) as nb:
        for number, end in enumerate((kill, lambda nb: nb.manager.restart_kernel(now=True))):
            nb.run("%load_ext peaky_peek\n" + SETUP)
            cell = f"for n in range(1000):\n    add({number} * 1000 + n, n)\n    print(n, flush=True); time.sleep(0.01)"
            request = nb.client.execute(cell)
            said = ""
            while (acknowledged := said.count("\n") - 1) < 20:
                message = nb.client.get_iopub_msg(timeout=60)
                if message["header"]["msg_type"] == "stream" and message["parent_header"].get("msg_id") == request:
                    said += message["content"]["text"]
            end(nb)
            if end is kill:
                nb.manager.restart_kernel(now=True)
            nb.client.wait_for_ready(timeout=60)
            found = story(nb)
            assert [status for _, status, _ in found] == ["interrupted"] * (number + 1)
            assert found[-1][2] == list(range(number * 1000, number * 1000 + len(found[-1][2])))
            assert len(found[-1][2]) > acknowledged
        nb.run("%load_ext peaky_peek\n" + SETUP)
        nb.run("add(7, 7)")
        assert [(status, numbers) for _, status, numbers in story(nb)[2:]] == [("completed", [7])]


def test_two_notebooks_on_one_store_keep_their_cells_apart(nb: Notebook, tmp_path: Path) -> None:
    with notebook(tmp_path) as other:
        other.run(SETUP + f"pp.init(db={str(tmp_path / 'peek.db')!r})")
        other.run("%load_ext peaky_peek")
        for _ in range(3):
            running = [
                (book, book.client.execute(f"for n in range(30): add({number}, n)"))
                for book, number in ((nb, 1), (other, 2))
            ]
            for book, request in running:
                assert book.reply(request)["status"] == "ok"
        assert sorted(numbers for _, _, numbers in story(nb)) == [[1] * 30] * 3 + [[2] * 30] * 3
        assert {status for _, status, _ in story(other)} == {"completed"}


# Nothing is doubled, nothing is left behind.

STATE = """[len(get_ipython().input_transformers_cleanup), len(get_ipython().ast_transformers),
    {name: len(hooks) for name, hooks in get_ipython().events.callbacks.items()},
    len(get_ipython().Completer.custom_matchers), len(sys.meta_path),
    sorted(t.name for t in threading.enumerate() if t.name.startswith('peaky'))]"""


@pytest.mark.parametrize(
    "again",
    [
        "%load_ext peaky_peek",
        "%reload_ext peaky_peek",
        "import importlib; importlib.reload(pp)\nNone",
        "for _ in range(3): pp.init(db=pp.status()['store'])",
        "pp.init(db=pp.status()['store'], max_payload_kb=64); pp.init(db=pp.status()['store'])",
        "import importlib; importlib.reload(sys.modules['peaky_peek.magics'])\n%reload_ext peaky_peek",
    ],
)
def test_doing_it_again_doubles_nothing(nb: Notebook, again: str) -> None:
    nb.run("def tell(event): told.append(event.name)")
    nb.run("told = []; pp.on_event(tell); pp.on_event(tell); add(1, 1)")
    nb.run("'the end of that one'\n_ = pp.events()")
    before = nb.ask(STATE)
    nb.run(again)
    nb.run("told.clear(); pp.on_event(tell)")
    ran = nb.run("add(2, 2); agent(3)")
    last = story(nb)[-2:]
    assert last == [(f"In [{ran.execution_count}]", "completed", [2]), ("agent", "completed", [3])]
    assert len(story(nb)) == 3
    nb.run("_ = pp.events()")
    assert nb.ask("sorted(told)") == sorted(nb.ask("pp.events(['agent', -2])['name'].tolist()"))
    assert nb.ask(STATE) == before


def test_a_listener_in_a_cell_that_is_run_again_is_told_once(nb: Notebook) -> None:
    nb.run("told = []")
    for _ in range(3):
        nb.run("@pp.on_event(types='tool_call')\ndef tell(event): told.append(event.name)")
    nb.run("add(1, 1)")
    nb.run("_ = pp.events()")
    assert nb.ask("told") == ["add"]


def test_nothing_is_recorded_after_unloading_until_it_is_asked_for(kernel: Notebook, tmp_path: Path) -> None:
    kernel.run(f"pp.init(db={str(tmp_path / 'peek.db')!r})")
    kernel.run("%load_ext peaky_peek")
    kernel.run("add(1, 1)")
    kernel.run("%unload_ext peaky_peek")
    assert kernel.run("add(2, 2)").result == "4"
    assert kernel.ask("pp.status()['recording']") is False
    assert [numbers for _, _, numbers in story(kernel)] == [[1]]
    kernel.run("agent(3)")
    kernel.run("%load_ext peaky_peek")
    kernel.run("add(4, 4)")
    assert [numbers for _, _, numbers in story(kernel)] == [[1], [3], [4]]
    kernel.run("%unload_ext peaky_peek")


AGENT = """
import peaky_peek as pp

@pp.tool
def look(n):
    return {version}

@pp.trace
def edited(n):
    return [look(n), {version}]
"""


def test_autoreload_brings_the_new_agent_and_doubles_nothing(nb: Notebook, tmp_path: Path) -> None:
    module = tmp_path / "edited_agent.py"
    module.write_text(AGENT.format(version=1))
    nb.run(f"sys.path.insert(0, {str(tmp_path)!r})\n%load_ext autoreload\n%autoreload 2")
    nb.run("import edited_agent\nfrom edited_agent import edited, look")
    assert nb.run("edited(0)").result == "[1, 1]"
    for version in (2, 3):
        module.write_text(AGENT.format(version=version) + f"# {'longer' * version}")
        os.utime(module, (2_000_000_000 + version, 2_000_000_000 + version))
        assert nb.run("edited_agent.edited(0)").result == f"[{version}, {version}]"
        assert nb.run("edited(0), look(0)").result == f"([{version}, {version}], {version})"
    nb.run("%autoreload 0")
    sessions = nb.sessions()
    assert [session["name"] for session in sessions if session["name"] == "edited"] == ["edited"] * 5
    assert {session["tool_calls"] for session in sessions} == {1}
    codes = nb.ask("pp.events(pp.ALL, types='agent_start', data=True).query('name == \"edited\"')['data'].tolist()")
    versions = [1, 2, 2, 3, 3]  # the source is right or unknown: autoreload tells no file of what it compiled itself
    assert all(
        code.get("code") is None or f"[look(n), {version}]" in code["code"]
        for code, version in zip(codes, versions, strict=True)
    )
    assert "[look(n), 1]" in codes[0]["code"]


def test_autoreload_passes_over_peaky_peek_itself(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "peaky_peek", tmp_path / "peaky_peek", ignore=shutil.ignore_patterns("js", "__pycache__"))
    with notebook(tmp_path, root=tmp_path) as nb:
        nb.run("%load_ext autoreload\n%autoreload 2")
        nb.run("%load_ext peaky_peek\n" + SETUP)
        nb.run("chat = pp.start_session('chat')\nadd(1, 1)")
        for module in ("capture/context.py", "capture/transport.py", "capture/recorder.py", "magics/cells.py"):
            path = tmp_path / "peaky_peek" / module
            path.write_text(path.read_text() + "\nEDITED = True\n")
            os.utime(path, (2_000_000_000, 2_000_000_000))
        nb.run("add(2, 2)")
        nb.run("chat.end()")
        after = nb.run("add(3, 3)")
        assert story(nb) == [("chat", "completed", [1, 2]), (f"In [{after.execution_count}]", "completed", [3])]
        assert nb.ask("hasattr(pp.capture.context, 'EDITED')") is False
