"""Turns a saved notebook into one page in which our widgets are alive: `jupyter nbconvert --to peek analysis.ipynb`.

Each widget is drawn again from the recordings of this machine, in a frame of its own that can run its own script and
nothing else. Where a session is not recorded here, the table that was saved with the notebook stays. The page asks the
network for nothing, so formulas stay as they are written.
"""

from __future__ import annotations

import copy
from html import escape
from typing import TYPE_CHECKING, Any

from jinja2 import DictLoader
from nbconvert.exporters import HTMLExporter

import peaky_peek
from peaky_peek.errors import PeekError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from peaky_peek.widgets._base import PeekWidget

VIEWS = ("tree", "replay", "why", "clusters", "conversation", "timeline", "safety", "debugger")
"""What a notebook may ask to be drawn: functions of the package that return a widget."""
SOURCE = "peaky_peek"
"""Where the metadata of an output says how it was made."""

_WIDGET = "application/vnd.jupyter.widget-view+json"
_AROUND = 96
"""Pixels of headline and footer around a drawing."""
_OFFLINE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""


class PeekExporter(HTMLExporter):
    """The exporter that nbconvert knows as `peek`."""

    export_from_notebook = "HTML with live Peaky Peek widgets"

    def __init__(self, **options: Any) -> None:
        loader = DictLoader({"peek.html.j2": _OFFLINE})
        super().__init__(**options, extra_loaders=[loader])  # type: ignore[no-untyped-call]
        self.template_file = "peek.html.j2"

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **options: Any
    ) -> tuple[str, dict[str, Any]]:
        """Return the page, and what nbconvert keeps beside it; the notebook stays as it is."""
        nb = copy.deepcopy(nb)
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                if _WIDGET in output.get("data", {}):
                    _bring_alive(output)
        nb.metadata.pop("widgets", None)  # their state has no use without the network
        page, resources = super().from_notebook_node(nb, resources, **options)
        return page, resources


def _bring_alive(output: NotebookNode) -> None:
    """Replace what needs a kernel by a page in a frame, or by the table that was saved."""
    widget = _made_again(output.get("metadata", {}).get(SOURCE))
    del output.data[_WIDGET]
    if widget is not None:
        page = widget.page()
        height = min(widget.height, 30 + 22 * len(widget._outline)) + _AROUND
        output.data["text/html"] = (
            f'<iframe sandbox="allow-scripts" style="width:100%;height:{height}px;border:0"'
            f' title="{escape(repr(widget))}" srcdoc="{escape(page)}"></iframe>'
        )


def _made_again(source: Any) -> PeekWidget | None:
    """Return the widget that an output says it was, None where it cannot be drawn here."""
    match source:
        case {"view": str(view), "arguments": list(arguments)} if view in VIEWS:
            try:
                widget: PeekWidget = getattr(peaky_peek, view)(*arguments)
            except (PeekError, TypeError):
                return None
            return widget
    return None
