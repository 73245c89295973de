"""The magics in a real kernel: what is recorded, what is shown, and that cells run as they would without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from peaky_peek.magics import heading
from tests import loopback
from tests.notebook import ROOT, Notebook, Ran, notebook


def names(nb: Notebook) -> list[str]:
    return [session["name"] for session in nb.sessions()]


def types(nb: Notebook, session: str) -> list[str]:
    return [event["event_type"] for event in nb.events(session)]


# What a plain cell records.


def test_a_cell_that_makes_no_call_records_nothing(nb: Notebook) -> None:
    assert nb.run("1 + 1").result == "2"
    assert nb.sessions() == []


def test_each_cell_that_makes_a_call_is_a_session_that_says_where_it_comes_from(nb: Notebook) -> None:
    first = nb.run("add(1, 2); add(3, 4)")
    second = nb.run("add(5, 6)")
    sessions = nb.sessions()
    assert [session["name"] for session in sessions] == [f"In [{ran.execution_count}]" for ran in (first, second)]
    assert [session["tool_calls"] for session in sessions] == [2, 1]
    assert {session["status"] for session in sessions} == {"completed"}
    assert {session["notebook"] for session in sessions} == {"/home/me/refunds.ipynb"}
    assert sessions[0]["cell"] != sessions[1]["cell"]
    assert types(nb, sessions[1]["name"]) == ["agent_start", "tool_call", "tool_result", "agent_end"]
    assert nb.ask("pp.events(1, data=True)['data'][0]['code']") == "add(5, 6)"


def test_a_call_in_a_thread_belongs_to_the_cell(nb: Notebook) -> None:
    nb.run("import threading\nthread = threading.Thread(target=add, args=(1, 1)); thread.start(); thread.join()")
    (session,) = nb.sessions()
    assert session["tool_calls"] == 1


def test_a_call_after_the_end_of_its_cell_belongs_to_a_session_of_that_cell(nb: Notebook) -> None:
    nb.run("import threading\ngate = threading.Event()")
    cell = nb.run("thread = threading.Thread(target=lambda: gate.wait() and add(1, 1)); thread.start()")
    nb.ask("[gate.set(), thread.join()]")
    nb.run("'the next cell'")
    (session,) = nb.sessions()
    assert session["name"] == f"In [{cell.execution_count}]"
    assert (session["tool_calls"], session["status"]) == (1, "completed")


def test_a_traced_agent_in_a_plain_cell_is_a_session_of_its_own(nb: Notebook) -> None:
    nb.run("agent(2)")
    assert names(nb) == ["agent"]


def test_a_model_call_of_a_client_made_earlier_is_recorded(kernel: Notebook, tmp_path: Path) -> None:
    with loopback.Loopback(loopback.message("Hello!"), loopback.message("Again!")) as server:
        kernel.run(f"pp.init(db={str(tmp_path / 'peek.db')!r}); pp.uninstall()")
        kernel.run(f"from openai import OpenAI\nclient = OpenAI(base_url={server.url!r}, api_key='none')")
        kernel.run("%load_ext peaky_peek")
        ask = "client.chat.completions.create(model='gpt-4o-mini', messages=[{'role': 'user', 'content': 'Hi'}])"
        ran = kernel.run(f"{ask}.choices[0].message.content")
        assert ran.result == "'Hello!'"
        (session,) = kernel.sessions()
        assert session["llm_calls"] == 1
        assert types(kernel, session["name"]) == ["agent_start", "llm_request", "llm_response", "agent_end"]
        kernel.run("%unload_ext peaky_peek")
        kernel.run(ask)
        assert [session["llm_calls"] for session in kernel.sessions()] == [1]


def test_nothing_is_recorded_while_it_is_off(nb: Notebook) -> None:
    assert nb.run("%peek off").outputs == []
    assert nb.run("add(1, 1)").result == "2"
    refused = nb.run("%%peek wanted\nadd(1, 1)")
    assert refused.result == "2"
    assert "%peek on" in refused.shown[0]
    assert nb.run("%peek on").outputs == []
    nb.run("add(2, 2)")
    (session,) = nb.sessions()
    assert session["tool_calls"] == 1


# A %%peek cell runs as it would without.


def test_its_last_expression_is_shown_once_and_counted_once(nb: Notebook) -> None:
    before = nb.run("'before'")
    ran = nb.run("%%peek sums\nadd(20, 22)")
    assert ran.result == "42"
    assert ran.execution_count == before.execution_count + 1
    assert nb.run("_, __").result == "(42, 'before')"
    assert nb.run(f"Out[{ran.execution_count}]").result == "42"
    assert nb.ask("get_ipython().history_manager.input_hist_raw")[ran.execution_count] == "%%peek sums\nadd(20, 22)"


def test_it_awaits_at_top_level(nb: Notebook) -> None:
    ran = nb.run("%%peek waits\nawait asyncio.sleep(0)\nadd(1, 1)")
    assert ran.result == "2"
    assert types(nb, "waits") == ["agent_start", "tool_call", "tool_result", "agent_end"]


def test_tasks_that_it_gathers_are_part_of_it(nb: Notebook) -> None:
    nb.run("%%peek gathers\nasync def one(n): return add(n, n)\nawait asyncio.gather(*(one(n) for n in range(3)))")
    (session,) = nb.sessions()
    assert session["tool_calls"] == 3


def test_shell_commands_prints_and_displays_keep_their_order_below_the_line(nb: Notebook) -> None:
    ran = nb.run("%%peek order\nprint('one')\n!echo two\ndisplay('three')\nadd(1, 1)\nprint('four')\n5")
    line, *shown = ran.shown
    assert line == "DecisionTree(order, 2 steps, completed)"
    assert [text.replace("\r", "") for text in shown] == ["one\ntwo\n", "'three'", "four\n", "5"]


def test_an_exception_keeps_its_traceback_is_recorded_and_opens_the_tree(nb: Notebook) -> None:
    ran = nb.run("%%peek fails\nadd(1, 1)\n1 / 0")
    assert ran.status == "error"
    line, traceback = ran.shown
    assert line == "DecisionTree(fails, 3 steps, failed)"
    assert traceback.count("ZeroDivisionError") == 2  # at the head of the traceback, and at its end
    assert "peaky_peek" not in traceback
    assert "line 3" in traceback
    assert ran.states("expanded")[-1] is True
    assert nb.sessions()[0]["status"] == "failed"
    *_, error, end = nb.events("fails")
    assert (error["event_type"], error["error_type"]) == ("error", "ZeroDivisionError")
    assert (end["event_type"], end["status"]) == ("agent_end", "error")


# A kernel that waits in one long sleep of its event loop notices an interrupt only when it wakes.
@pytest.mark.parametrize("wait", ["time.sleep(60)", "for _ in range(1200): await asyncio.sleep(0.05)"])
def test_an_interrupt_ends_it_as_interrupted(nb: Notebook, wait: str) -> None:
    cell = f"%%peek stopped\nadd(1, 1)\nprint('go', flush=True)\n{wait}"
    ran = nb.run(cell, seen=lambda ran: "go\n" in ran.shown, then=nb.interrupt)
    assert ran.status == "error"
    (session,) = nb.sessions()
    assert session["status"] == "interrupted"
    assert nb.run("1").result == "1"


def test_a_cell_that_is_no_python_is_not_recorded(nb: Notebook) -> None:
    ran = nb.run("%%peek wrong\ndef (")
    assert [output["type"] for output in ran.outputs] == ["error"]
    assert "line 2" in ran.shown[0]
    assert nb.sessions() == []


def test_a_traced_agent_is_part_of_it(nb: Notebook) -> None:
    nb.run("%%peek whole\nagent(3)")
    assert names(nb) == ["whole"]
    assert [event["name"] for event in nb.events("whole")][:3] == ["whole", "agent", "add"]


def test_capture_inside_it_captures_what_the_cell_shows_and_not_the_line(nb: Notebook) -> None:
    ran = nb.run("%%peek outer\n%%capture out\nprint('captured')\ndisplay(add(1, 1))\nNone")
    assert ran.shown == ["DecisionTree(outer, 2 steps, completed)"]
    assert nb.ask("[out.stdout, len(out.outputs)]") == ["captured\n", 1]


def test_it_stands_below_other_cell_magics_too(nb: Notebook) -> None:
    ran = nb.run("%%capture out\n%%peek inner\nprint('captured')\nadd(1, 1)")
    assert ran.shown == ["DecisionTree(inner, 2 steps, completed)"]
    assert nb.ask("out.stdout") == "captured\n"
    timed = nb.run("%%time\n%%peek timed\nadd(1, 1)")
    assert [line["text/plain"] for line in timed.lines] == ["DecisionTree(timed, 2 steps, completed)"]
    assert names(nb) == ["inner", "timed"]


# The line.


def test_the_line_is_a_folded_tree_that_a_saved_notebook_can_unfold(nb: Notebook) -> None:
    ran = nb.run("%%peek folded\nadd(1, 1)")
    (line,) = ran.lines
    assert ran.states("expanded") == [False]
    assert "application/vnd.jupyter.widget-view+json" in line
    assert line["text/html"].startswith("<details><summary><strong>folded</strong> completed · 2 steps · 1 tool call")


def test_the_line_lives_while_the_cell_runs(nb: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def counted(ran: Ran) -> bool:
        return any("7 tool calls" in title["facts"] and title["status"] == "running" for title in ran.states("_title"))

    cell = f"%%peek lives\nfor n in range(7): add(n, n)\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    ran = nb.run(cell, seen=counted, then=gate.touch)
    assert ran.shown == ["DecisionTree(lives, 8 steps, completed)"]


def test_open_shows_the_tree_at_once_and_q_shows_nothing(nb: Notebook) -> None:
    assert nb.run("%%peek wide --open\nadd(1, 1)").states("expanded")[-1] is True
    quiet = nb.run("%%peek quiet -q\nadd(1, 1)")
    assert quiet.shown == ["2"]
    assert names(nb) == ["wide", "quiet"]


def test_a_cell_that_the_sample_leaves_out_shows_no_line(nb: Notebook, tmp_path: Path) -> None:
    nb.run(f"pp.init(db={str(tmp_path / 'peek.db')!r}, sample=0)")
    assert nb.run("%%peek left out\nadd(1, 1)").shown == ["2"]
    assert nb.sessions() == []


def test_an_option_that_does_not_exist_is_named_and_the_cell_runs(nb: Notebook) -> None:
    ran = nb.run("%%peek --wide\nadd(1, 1)")
    assert (
        ran.shown[0]
        == "%%peek has no option --wide: it is written %%peek [name] [--open] [-q] [--stop-on loop,cost].\n"
    )
    assert ran.result == "2"


def test_an_endless_cell_is_stopped_where_it_is_told_to_and_says_why_in_one_sentence(nb: Notebook) -> None:
    ran = nb.run("%%peek endless --stop-on loop\nwhile True: add(1, 1)")
    assert ran.status == "error"
    assert (
        ran.shown[-1]
        == 'LoopDetected: loop x3: add with the same result: the run stops here because of stop_on="loop".'
    )
    assert nb.sessions()[0]["status"] == "failed"
    assert types(nb, "endless").count("tool_result") == 3
    free = nb.run("%%peek free --stop-on=cost\nadd(1, 1)")
    assert free.shown[0].startswith('%%peek does not stop this cell: stop_on="cost" needs to know the limit: ')
    assert free.result == "2"


def test_a_cell_that_clears_its_output_still_ends_with_the_line(nb: Notebook) -> None:
    nb.run("from IPython.display import clear_output")
    ran = nb.run("%%peek cleared\nprint('gone'); clear_output(); print('kept')")
    assert ran.shown == ["kept\n", "DecisionTree(cleared, 1 step, completed)"]


def test_without_a_name_it_is_named_after_the_cell_and_variables_fill_in_names(nb: Notebook) -> None:
    unnamed = nb.run("%%peek -q\nadd(1, 1)")
    nb.run("line = 'refunds'")
    nb.run("%%peek run of {line} -q\nadd(1, 1)")
    assert names(nb) == [f"In [{unnamed.execution_count}]", "run of refunds"]


def test_a_terminal_shows_the_line_once_at_the_end(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from IPython.terminal.interactiveshell import TerminalInteractiveShell as Shell\n"
        "shell = Shell.instance(); shell.run_line_magic('load_ext', 'peaky_peek')\n"
        "assert 'pandas' not in sys.modules, 'loading is slow'\n"
        "shell.run_cell('%%peek plain\\nprint(1)')"
    )
    environment = os.environ | {"PEAKY_PEEK_DB": str(tmp_path / "peek.db"), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert ran.stderr == ""
    assert ran.stdout.split("\n") == ["1", "DecisionTree(plain, 1 step, completed)", ""]


# %peek


def test_peek_lists_the_sessions_and_in_an_empty_store_says_how_to_begin(nb: Notebook) -> None:
    (said,) = nb.run("%peek").shown
    assert said.startswith("Nothing recorded yet: ")
    nb.run("add(1, 1)")
    nb.run("listed = %peek")
    assert nb.ask("[type(listed).__name__, len(listed)]") == ["DataFrame", 1]


def test_peek_returns_what_the_functions_return(nb: Notebook) -> None:
    nb.run("%%peek first run -q\nadd(1, 1)")
    nb.run("%%peek second -q\nadd(1, 1)\nadd(2, 2)")
    nb.run("which = 'first run'")
    assert nb.run("%peek tree").shown == ["DecisionTree(second, 3 steps, completed)"]
    assert nb.run("%peek tree first run").shown == ["DecisionTree(first run, 2 steps, completed)"]
    assert nb.run("%peek replay first run").shown == ["Replay(first run, 2 steps, completed)"]
    assert nb.run("%peek tree {which}").shown == ["DecisionTree(first run, 2 steps, completed)"]
    assert nb.run("%peek session 0").result == "Session('first run', completed, 4 events)"
    nb.run("calls = %peek tool_calls -1")
    assert nb.ask("len(calls)") == 2
    nb.run("found = %peek sessions name:second")
    assert nb.ask("found['name'].tolist()") == ["second"]
    nb.run("drawn = %peek graph second")
    assert nb.ask("len(drawn)") == nb.ask("len(pp.graph('second'))")
    nb.run("state = %peek status")
    assert nb.ask("state['recording']") is True


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("%peek rewind", "PeekError: There is no `%peek rewind`: after %peek comes nothing, or one of tree,"),
        ("%peek status now", "PeekError: There is no `%peek status now`: "),
        ("%peek tree nobody", "SessionNotFound: No recorded session is called 'nobody': "),
        ("%peek sessions bogus:1", "QueryError: Cannot read 'bogus:1' at character 1 of the query: "),
    ],
)
def test_what_peek_cannot_do_it_says_in_one_sentence(nb: Notebook, line: str, sentence: str) -> None:
    nb.run("add(1, 1)")
    ran = nb.run(line)
    assert ran.status == "error"
    (said,) = ran.shown
    assert said.startswith(sentence)
    assert "\n" not in said


def test_words_and_session_names_complete(nb: Notebook) -> None:
    nb.run("%%peek refund agent -q\nadd(1, 1)")
    nb.run("%%peek other -q\nadd(1, 1)")
    assert nb.complete("%peek tr") == ["tree"]
    assert nb.complete("%peek tree ") == ["other", "refund agent"]
    assert nb.complete("%peek tree ref") == ["refund agent"]
    assert nb.complete("%peek tree refund a") == ["refund agent"]
    assert "%%peek" in nb.complete("%%pee")


# Loading and unloading.


def test_reloading_doubles_nothing(nb: Notebook) -> None:
    assert nb.run("%reload_ext peaky_peek").outputs == []
    ran = nb.run("%%peek once\nadd(1, 1)")
    assert ran.shown == ["DecisionTree(once, 2 steps, completed)", "2"]
    nb.run("add(2, 2)")
    assert [session["tool_calls"] for session in nb.sessions()] == [1, 1]
    assert nb.complete("%peek tree on") == ["once"]


def test_the_cell_that_loads_the_extension_is_recorded_from_there_on(kernel: Notebook, tmp_path: Path) -> None:
    kernel.run(f"pp.init(db={str(tmp_path / 'peek.db')!r})")
    ran = kernel.run("%load_ext peaky_peek\nadd(1, 1)")
    (session,) = kernel.sessions()
    assert (session["name"], session["status"]) == (f"In [{ran.execution_count}]", "completed")
    kernel.run("%unload_ext peaky_peek")


def test_unloading_undoes_every_patch(kernel: Notebook) -> None:
    kernel.run("import httpx, threading\nfrom concurrent.futures import ThreadPoolExecutor")
    kernel.run("pp.uninstall()")
    state = """[str(part) for part in (
        get_ipython().input_transformers_cleanup, get_ipython().ast_transformers, get_ipython().events.callbacks,
        get_ipython().Completer.custom_matchers, get_ipython().magics_manager.lsmagic(),
        sorted(get_ipython().magics_manager.registry), httpx.Client.send, threading.Thread.start,
        ThreadPoolExecutor.submit, __import__('sys').meta_path)]"""
    before = kernel.ask(state)
    kernel.run("%load_ext peaky_peek")
    kernel.run("%%peek patched -q\nadd(1, 1)")
    assert kernel.ask(state) != before
    kernel.run("%unload_ext peaky_peek")
    assert kernel.ask(state) == before
    assert kernel.run("%peek").status == "error"


# The line that begins a cell.


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%%peek\nx", ("", "x")),
        ("%%peek a name --open\nx", ("a name --open", "x")),
        ("\n\n%%peek\nx", ("", "x")),
        ("%%time\n%%peek n\nx", ("n", "%%time\nx")),
        ("%%peeks\nx", (None, "%%peeks\nx")),
        ("x\n%%peek\n", (None, "x\n%%peek\n")),
        ("", (None, "")),
    ],
)
def test_a_cell_is_split_at_its_heading(cell: str, expected: tuple[str | None, str]) -> None:
    assert heading.split(cell) == expected


def test_lines_of_python_keep_their_numbers_and_magics_their_place() -> None:
    assert heading.remove(["%%peek x\n", "1 / 0\n"]) == ["\n", "1 / 0\n"]
    assert heading.remove(["%%peek\n", "%%capture\n", "1\n"]) == ["%%capture\n", "1\n"]
    assert heading.remove(["1\n"]) == ["1\n"]


def test_clients_imported_before_and_after_the_extension_are_recorded(tmp_path: Path) -> None:
    ask = "json={'model': 'gpt-4o-mini', 'messages': [{'role': 'user', 'content': 'Hi'}]}"
    answers = ["before", "kept", "after"]
    with loopback.Loopback(*map(loopback.message, answers)) as server, notebook(tmp_path) as nb:
        assert (
            nb.run(f"""
import sys, httpx
assert not {{"httpx2", "peaky_peek"}} & sys.modules.keys()
url = {server.url!r} + "/chat/completions"
client = httpx.Client()
post = client.post""").status
            == "ok"
        )
        assert nb.run("%load_ext peaky_peek").outputs == []
        for cell in (f"client.post(url, {ask})", f"post(url, {ask})", f"import httpx2; httpx2.post(url, {ask})"):
            assert nb.run(cell).status == "ok"
        assert nb.ask("(lambda pp: pp.llm_calls(pp.ALL)['content'].tolist())(__import__('peaky_peek'))") == answers
