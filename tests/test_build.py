"""What users install: the sdist and the wheel carry the widgets, and neither needs Node or the network."""

from __future__ import annotations

import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.installed import ROOT, build

BUNDLES = {"tree.js", "tree.css", "bundle.stamp"}
STATIC = "peaky_peek/widgets/static/"


def bundled(names: list[str]) -> set[str]:
    return {name.partition(STATIC)[2] for name in names if STATIC in name}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    result = build("sdist", ROOT, out)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel a user gets from the sdist, on a machine without Node."""
    out = tmp_path_factory.mktemp("wheel")
    result = build("wheel", unpacked, out, PATH="")
    assert result.returncode == 0, result.stdout + result.stderr
    return next(out.glob("*.whl"))


def test_the_sdist_carries_the_bundles_and_the_sources_they_are_built_from(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert bundled(names) >= BUNDLES
    assert any(name.endswith("peaky_peek/js/src/tree.ts") for name in names)
    assert any(name.endswith("peaky_peek/js/hatch_build.py") for name in names)
    assert not any("node_modules" in name for name in names)


def test_the_wheel_is_built_from_the_sdist_without_node_and_carries_the_bundles(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert bundled(names) >= BUNDLES
    assert {"peaky_peek/py.typed", "_peaky_peek_boot.py", "peaky_peek.pth", "peaky_peek.start"} <= {*names}
    assert not any(name.startswith(("peaky_peek/boot", "peaky_peek/js", "tests", "notebooks")) for name in names)


def test_a_wheel_without_bundles_cannot_be_built(unpacked: Path, tmp_path: Path) -> None:
    source = shutil.copytree(unpacked, tmp_path / "source", ignore=shutil.ignore_patterns("static", "src"))
    result = build("wheel", source, tmp_path, PATH="")
    assert result.returncode != 0
    assert not list(tmp_path.glob("*.whl"))


def test_the_bundles_ask_the_network_for_nothing(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(STATIC):
                text = archive.read(name).decode()
                loads = re.findall(
                    r"""(?:import|from|fetch|url|src)\s*[(=]?\s*["'`]?\s*(?:https?:)?//[^\s"'`)]+""", text
                )
                assert not loads, f"{name} loads {loads}"


def test_the_command_and_the_package_are_installed_under_their_names(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entry_points = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "jupyter-peek = peaky_peek.cli:main" in archive.read(entry_points).decode()
    assert wheel.name.startswith("peaky_peek_jupyter-")
