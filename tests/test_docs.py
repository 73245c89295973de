"""What the documents say is true: their code runs, their commands exist, and every public name is explained."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import peaky_peek as pp
from peaky_peek.store import Database

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(ROOT.glob("peaky_peek/**/*.py"))
    if ">>> " in path.read_text()
]
AGENT = """\
from peaky_peek.demo import model_server
from peaky_peek.demo.stories.silent_tool import run

server = model_server()
my_agent = lambda question: run(server.client("silent-tool"))"""
FINDING = """\
assert tree.selected_events["name"].unique().tolist() == ["issue_refund"]
assert "outcome" in pp.sessions("weather_agent").columns"""


def test_the_code_of_the_readme_runs_in_a_notebook_as_it_stands(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 5
    cells = [nbformat.v4.new_code_cell(source) for source in (AGENT, *blocks, FINDING)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": tmp_path}}).execute()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_command_in_the_pages_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ((?:[a-z-]+ ?)+)", page.read_text(), re.MULTILINE)
    assert {target for line in named for target in line.split()} <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_points_to_exists(page: Path) -> None:
    links = re.findall(r"""\]\((?!https?:)([^)#]+)\)|(?:src|srcset)="([^"]+)\"""", page.read_text())
    assert [path for path in map("".join, links) if not (page.parent / path).exists()] == []


@pytest.mark.parametrize("name", pp.__all__)
def test_every_public_name_says_what_it_gives(name: str) -> None:
    value = getattr(pp, name)
    if callable(value):
        assert (value.__doc__ or "").strip(), f"pp.{name} has no docstring"


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_the_examples_in_docstrings_give_what_they_say(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted
    assert not found.failed


def test_the_code_of_the_page_on_durability_runs(store: Database) -> None:
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs/durability.md").read_text(), re.DOTALL | re.MULTILINE
    )
    exec(block, {})


def test_the_code_of_the_page_on_zero_code_runs(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PEAKY_PEEK_DB", str(store.path))
    page = (ROOT / "docs/zero-code.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    exec(block, {})


def test_the_code_of_the_page_on_the_tape_says_what_it_says(
    store: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/tape.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (shown,) = re.findall(r"\n\n```\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    pp.init(db=store.path)
    names: dict[str, Any] = {}
    exec(block, names)
    names["client"].close()
    assert capsys.readouterr().out == f"Tape('shop', 1 of 1 exchanges, 1 of 1 tools played)\n{shown}"
    pp.uninstall()


def test_a_store_is_recovered_as_the_page_on_durability_says(store: Database) -> None:
    from peaky_peek.store import schema

    numbers = f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = {schema.VERSION}"
    assert numbers in (ROOT / "docs/durability.md").read_text()


def test_the_code_of_the_page_on_clusters_runs(store: Database) -> None:
    page = (ROOT / "docs/clusters.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        exec(block, names)


def test_the_code_of_the_page_on_views_runs(store: Database) -> None:
    page = (ROOT / "docs/views.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["safety"].frame["verdict"].tolist() == ["bypassed", "unchecked"]
    assert names["line"].handoffs["to_agent"].tolist() == ["planner"]
    assert "upload" in names["talk"].frame["text"].iloc[1]


def test_the_code_of_the_page_on_replay_prints_what_it_shows(
    store: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/replay.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        exec(block, names)
    [shown] = re.findall(r"\n\n```\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert capsys.readouterr().out == shown


def test_the_code_of_the_page_on_the_diff_prints_what_it_shows(
    store: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/diff.md").read_text()
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        exec(block, names)
    [shown] = re.findall(r"\n\n```\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert capsys.readouterr().out.startswith(shown)
    assert names["flow"].frame["b"].sum() == len(names["flow"].frame.query("b > 0"))
