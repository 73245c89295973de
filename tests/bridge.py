"""A real widget in a real page, without a server between: ipywidgets' own messages, carried by the test.

    page = show_widget(browser_page, pp.tree("refund"))
    page.locator(".pp-canvas").click()
    until(page, lambda: tree.selected)

What Python sets reaches the page with the next `deliver(page)`, and with every message that the page sends.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comm
from comm.base_comm import BaseComm
from playwright.sync_api import Page

FRONT_END = """
const decode = (text) => new DataView(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)).buffer);
const given = JSON.parse(document.getElementById("given").textContent);
const script = new Blob([document.getElementById("script").textContent], { type: "text/javascript" });
const { default: widget } = await import(URL.createObjectURL(script));
const handlers = new Map();
const of = (event) => handlers.get(event) ?? handlers.set(event, new Set()).get(event);
const state = given.state;
let changed = {};
let asked = 0;
const say = async (data) => {
  asked += 1;
  deliver(await window.kernel(JSON.stringify(data)));
  asked -= 1;
};
window.kernelIdle = () => asked === 0;
window.deliver = (messages) => {
  for (const { data, buffers } of JSON.parse(messages)) {
    if (data.method === "custom") [...of("msg:custom")].forEach((f) => f(data.content, buffers.map(decode)));
    for (const [name, value] of Object.entries(data.method === "update" ? data.state : {})) {
      if (JSON.stringify(state[name]) === JSON.stringify(value)) continue;
      state[name] = value;
      [...of("change:" + name)].forEach((f) => f());
    }
  }
};
window.model = {
  get: (name) => state[name],
  set(name, value) {
    if (JSON.stringify(state[name]) === JSON.stringify(value)) return;
    changed[name] = state[name] = value;
    [...of("change:" + name)].forEach((f) => f());
  },
  save_changes() {
    if (Object.keys(changed).length > 0) say({ method: "update", state: changed, buffer_paths: [] });
    changed = {};
  },
  on: (event, f) => of(event).add(f),
  off: (event, f) => of(event).delete(f),
  send: (content) => say({ method: "custom", content }),
};
window.handlers = () => [...handlers.values()].reduce((sum, set) => sum + set.size, 0);
window.open_view = (id) => {
  const el = document.getElementById("mount").appendChild(document.createElement("div"));
  el.style.marginBottom = "12px";
  window[id] = widget.render({ model, el, signal: new AbortController().signal });
  el.querySelector(".pp-root").id = id.replace("close_", "");
};
for (const id of given.views) open_view("close_" + id);
"""


class Bridge(BaseComm):  # type: ignore[misc]
    """The widget's end of the wire: keeps what the widget says until the page is told."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.said: list[dict[str, Any]] = []
        self.opened: dict[str, Any] = {}
        super().__init__(*args, **kwargs)

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any) -> None:
        if msg_type == "comm_open":
            self.opened = data["state"]
        elif msg_type == "comm_msg" and data["method"] != "echo_update":
            encoded = [base64.b64encode(bytes(buffer)).decode() for buffer in buffers or ()]
            self.said.append({"data": data, "buffers": encoded})

    def taken(self) -> str:
        """What was said since, as JSON."""
        said, self.said = self.said, []
        return json.dumps(said)

    def hear(self, data: str) -> str:
        """Give a message of the page to the widget; returns what the widget says."""
        self.handle_msg({"content": {"data": json.loads(data)}, "buffers": []})
        return self.taken()


class Bridged:
    """While it is open, widgets that are made speak to pages through a `Bridge`: `with Bridged(): tree = pp.tree()`."""

    def __enter__(self) -> None:
        self._before = comm.create_comm
        comm.create_comm = Bridge

    def __exit__(self, *_: object) -> None:
        comm.create_comm = self._before


def show_widget(
    page: Page, widget: Any, folder: Path, *, dark: bool = False, width: int = 1000, views: tuple[str, ...] = ("view",)
) -> None:
    """Show a widget that was made in `Bridged()`, in a page; its views have the ids `views`, and are waited for."""
    bridge: Bridge = widget.comm
    given = {"state": {k: v for k, v in bridge.opened.items() if k not in ("_esm", "_css")}, "views": views}
    background, color = ("#111111", "#eeeeee") if dark else ("#ffffff", "#222222")
    css = f"body {{ margin: 12px; background: {background}; color: {color} }} {widget._css}"
    script = str(widget._esm).replace("</script", "<\\/script")
    text = json.dumps(given, default=str).replace("<", "\\u003c")
    path = folder / f"{type(widget).__name__}.html"
    path.write_bytes(
        f'<!doctype html><meta charset="utf-8"><style>{css}</style><div id="mount"></div>'
        f'<script type="application/json" id="given">{text}</script>'
        f'<script type="text/plain" id="script">{script}</script><script type="module">{FRONT_END}</script>'.encode()
    )
    page.set_viewport_size({"width": width, "height": 900})
    page.expose_function("kernel", bridge.hear)
    page.goto(path.as_uri())
    for view in views:
        page.wait_for_function("id => document.getElementById(id)?.__peek", arg=view)


def deliver(page: Page, widget: Any) -> None:
    """Bring what Python did to the page."""
    page.evaluate("messages => deliver(messages)", widget.comm.taken())


def until(page: Page, test: Callable[[], Any], ms: int = 5_000) -> Any:
    """Wait until Python has what the page did."""
    for _ in range(ms // 20):
        if found := test():
            return found
        page.wait_for_timeout(20)
    raise AssertionError("the page's message did not arrive")
