"""The house has one direction: a module imports from its own row or the rows above it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "peaky_peek"

ROWS = (
    {"attachments", "encoding", "errors", "events", "ids", "interpreter", "interrupts", "shutdown", "vocabulary"},
    {"store"},
    {"capture", "causality", "frames", "graphs", "handoffs", "steps", "values"},
    {"analysis", "interop"},
    {"widgets", "charts"},
    {"__init__", "__main__", "adapters", "auto_patch", "boot", "cli", "demo", "exporter", "magics"},
)

HEAVY = """asyncio anywidget ipywidgets IPython networkx numpy pandas plotly pydantic sqlite_utils
peaky_peek.capture.redaction.personal""".split()


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py") if "js" not in path.relative_to(PACKAGE).parts}


def row_of(module: str) -> int:
    """The row of a module, by its first name below the package; `peaky_peek` itself is the front door."""
    _, _, below = module.partition(".")
    top = below.split(".")[0] or "__init__"
    return next(row for row, names in enumerate(ROWS, 1) if top in names)


def for_type_checkers_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def runtime_nodes(node: ast.AST) -> list[ast.AST]:
    """Every node below this one that can run, lazy imports inside functions included."""
    children = [child for child in ast.iter_child_nodes(node) if not for_type_checkers_only(child)]
    return children + [found for child in children for found in runtime_nodes(child)]


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules of ours that a module imports, as written in its source."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            ancestors = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*ancestors, *filter(None, [node.module])])
            found |= {full if (full := f"{base}.{alias.name}") in MODULES else base for alias in node.names}
    return frozenset(found & MODULES.keys() - {module})


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_from_its_own_row_or_the_rows_above(module: str) -> None:
    below = {other for other in imports_of(module) if row_of(other) > row_of(module)}
    assert not below, f"{module} is in row {row_of(module)} and must not import {sorted(below)}"


@pytest.mark.parametrize("package", ["capture", "store"])
def test_a_package_names_each_of_its_modules_once(package: str) -> None:
    folder = PACKAGE / package
    named = re.findall(r"`(\w+)`", ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "")
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert sorted(named) == sorted(modules - {"__init__"})


def test_no_modules_import_each_other_not_even_in_a_circle() -> None:
    try:
        TopologicalSorter({module: imports_of(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_importing_the_package_and_recording_an_event_loads_no_heavy_library(tmp_path: Path) -> None:
    code = f"""
import sys
import peaky_peek as pp

with pp.trace_session("light") as ctx:
    ctx.record_decision(reasoning="because", confidence=0.9, chosen_action="go")
print(*sorted(set({HEAVY}) & sys.modules.keys()))
"""
    environment = {"PEAKY_PEEK_DB": str(tmp_path / "light.db"), "PEAKY_PEEK_STRICT": "1", "PATH": ""}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=PACKAGE.parent
    )
    assert result.returncode == 0, result.stderr
    assert not result.stdout.split(), f"the recording path loads {result.stdout}"
