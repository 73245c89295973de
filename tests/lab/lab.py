"""A throw-away JupyterLab, driven as a user would: open, run, click, save, and ask the kernel what it saw."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client import BlockingKernelClient

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

SCREENSHOTS = Path(__file__).parent / "screenshots"
FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "IPYTHONDIR": "ipython",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
}
QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
WHOLE = {"windowingMode": "none"}
"""Cells that are out of sight stay in the page, so that a test finds them."""
OPTIONS = [
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    # The server listens on loopback, for this test run only.
    "--IdentityProvider.token=",
    "--ServerApp.password=",
    "--ServerApp.disable_check_xsrf=True",
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.extension_manager=readonly",
]
READY = """() => {
  const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""
RAN = """() => {
  const { cells } = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
  const code = cells.filter((cell) => cell.cell_type === "code" && cell.source.trim());
  const failed = code.flatMap((cell) => cell.outputs).find((output) => output.output_type === "error");
  if (failed) return [failed.evalue];
  return code.every((cell) => cell.execution_count !== null && cell.executionState !== "running") && [];
}"""


@contextmanager
def jupyterlab(folder: Path, browser: Browser) -> Iterator[Lab]:
    """Start a JupyterLab on `folder/notebooks` with settings of its own, and a page to drive it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
    cells = folder / "settings" / "@jupyterlab" / "notebook-extension"
    cells.mkdir(parents=True)
    (cells / "tracker.jupyterlab-settings").write_text(json.dumps(WHOLE))
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    environment = os.environ | {name: str(folder / below) for name, below in FOLDERS.items()}
    command = [sys.executable, "-m", "jupyterlab", f"--port={port}", f"--ServerApp.root_dir={notebooks}", *OPTIONS]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            lab = Lab(f"http://127.0.0.1:{port}", folder, browser)
            lab.wait_for_server(server)
            yield lab
        finally:
            server.terminate()
            server.wait(30)


class Lab:
    """One JupyterLab server; `page` shows it, `requests` are the addresses the page asked elsewhere."""

    page: Page

    def __init__(self, address: str, folder: Path, browser: Browser) -> None:
        self.address = address
        self.folder = folder
        self.browser = browser
        self.requests: list[str] = []
        self.faults: list[str] = []

    def wait_for_server(self, server: subprocess.Popen[bytes]) -> None:
        """Return when the server answers; fail with its log when it died."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and server.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{self.address}/api/status", timeout=5):
                return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "server.log").read_text())

    def write(self, name: str, *cells: str) -> Path:
        """Put a notebook of these cells into the lab's folder."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.folder / "notebooks" / name
        nbformat.write(notebook, path)
        return path

    def open(self, path: Path) -> None:
        """Show a notebook of the lab's folder in a fresh page and wait for its kernel."""
        self.show(path)
        self.page.wait_for_function(READY, timeout=60_000)

    def show(self, path: Path) -> None:
        """Show a notebook of the lab's folder in a fresh page."""
        self.close()
        self.page = self.browser.new_page(viewport={"width": 1280, "height": 1000})
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.goto(f"{self.address}/lab/tree/{path.name}?reset", timeout=90_000)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)

    def close(self) -> None:
        """Close the page and shut down every kernel."""
        if hasattr(self, "page"):
            self.page.close()
        for session in self._get("api/sessions"):
            self._get(f"api/sessions/{session['id']}", method="DELETE")

    def command(self, name: str, **arguments: Any) -> None:
        """Run a command of JupyterLab. It is not awaited: some commands end only when a dialog is answered."""
        self.page.evaluate("([name, args]) => void window.jupyterapp.commands.execute(name, args)", [name, arguments])

    def run_all(self) -> None:
        """Run every cell and wait until all have run, or one has raised."""
        self.command("notebook:clear-all-cell-outputs")
        self.command("notebook:run-all-cells")
        assert self.page.wait_for_function(RAN, timeout=120_000).json_value() == []

    def find(self, selector: str, text: str | None = None) -> Locator:
        """Elements of the notebook in front, with a text in them if one is given."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)").locator(selector, has_text=text)

    def theme(self, name: str) -> None:
        """Switch to `light` or `dark` and wait until the page has it."""
        self.command("apputils:change-theme", theme=f"JupyterLab {name.title()}")
        light = "true" if name == "light" else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached", timeout=30_000)
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=30_000)

    def save(self) -> None:
        """Save the notebook in front and wait until it is on disk."""
        self.command("docmanager:save")
        self.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")

    def screenshot(self, name: str) -> None:
        """Keep a picture of the page."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        print("screenshot:", path)

    def ask(self, expression: str, code: str = "") -> str:
        """The repr of an expression in the notebook's kernel, after running `code` silently."""
        kernel = self._get("api/sessions")[0]["kernel"]["id"]
        client = BlockingKernelClient(connection_file=str(self.folder / "runtime" / f"kernel-{kernel}.json"))
        client.load_connection_file()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            request = client.execute(code, silent=True, user_expressions={"answer": expression})
            while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != request:
                pass
        finally:
            client.stop_channels()
        answer = reply["content"].get("user_expressions", {}).get("answer", reply["content"])
        return answer["data"]["text/plain"] if answer["status"] == "ok" else str(answer)

    def wait_for(self, expression: str, expected: str) -> None:
        """Ask until the kernel gives the expected answer."""
        deadline = time.monotonic() + 20
        while (answer := self.ask(expression)) != expected:
            assert time.monotonic() < deadline, f"{expression} is {answer}, not {expected}"

    def _note(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.requests.append(url)

    def _get(self, path: str, method: str = "GET") -> Any:
        with urllib.request.urlopen(urllib.request.Request(f"{self.address}/{path}", method=method)) as response:
            return json.loads(response.read() or "null")
