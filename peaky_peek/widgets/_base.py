"""What every widget has: its bundle, a name in text, a picture without a kernel, an answer to every message."""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

from peaky_peek.capture import faults
from peaky_peek.errors import PeekError
from peaky_peek.widgets import _export, _fallback, _wire

STATIC = Path(__file__).parent / "static"


class PeekWidget(anywidget.AnyWidget):
    """The base of the widgets; a subclass names its bundle: `class DecisionTree(PeekWidget, bundle="tree")`.

    Messages may arrive in a thread of the kernel's while a cell runs: `_lock` is held wherever state changes. It is one
    for all widgets, because they change each other.
    """

    height = traitlets.Int(480, min=120, max=5_000, help="Height of the drawing in pixels.").tag(sync=True)
    expanded = traitlets.Bool(True, help="Whether more is shown than the headline.").tag(sync=True)
    _title = traitlets.Dict().tag(sync=True)
    _outline = traitlets.List(traitlets.Dict()).tag(sync=True)

    _bundle: ClassVar[str] = ""
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __init_subclass__(cls, bundle: str = "", **kwargs: Any) -> None:
        cls._bundle = bundle or cls._bundle
        if bundle and _script(bundle).is_file():
            cls._esm, cls._css = _script(bundle), _script(bundle).with_suffix(".css")
        super().__init_subclass__(**kwargs)

    def __init__(self, **kwargs: Any) -> None:
        if not hasattr(self, "_esm"):
            raise PeekError(
                f"The widget's script {self._bundle}.js was never built: reinstall peaky-peek-jupyter, "
                "or in a checkout run `npm ci && npm run build` in peaky_peek/js and restart the kernel."
            )
        super().__init__(**kwargs)
        self.on_msg(self._receive)

    @abstractmethod
    def _answer(self, request: dict[str, Any]) -> list[_wire.Message]:
        """Return the messages that answer a request; a `PeekError` becomes the sentence that is shown."""

    @abstractmethod
    def _page(self) -> _export.Page:
        """Return what an exported page needs to answer by itself."""

    def close(self) -> None:
        """End the view, in every page that shows it."""
        if self.layout is not None:  # a widget of its own, which nobody else would close
            self.layout.close()
        super().close()

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the widget as a page that works offline and asks the network for nothing; return its path.

        The details of the steps are inside up to a limit of 12 MB, failed steps first; the page says what was left out.

        Args:
            path: where to write; an existing file is replaced in one step.
        """
        return _export.write(Path(path), self.page())

    def page(self) -> str:
        """Return the html that `to_html` writes."""
        with self._lock:
            page = self._page()
        return _export.render(page, str(self._esm), str(self._css))

    def _receive(self, _widget: Any, request: Any, _buffers: Any) -> None:
        """Answer a message of the browser, whatever happens; a fault of ours is counted, and raised in strict mode."""
        try:
            with self._lock:
                messages = self._answer(request)
        except PeekError as error:
            self._send_all([_wire.error(str(error), request)])
        except Exception as error:  # noqa: BLE001 - a question without an answer would hang the picture
            self._send_all([_wire.error(f"This could not be shown ({type(error).__name__}: {error}).", request)])
            faults.report(error)
        else:
            self._send_all(messages)

    def _send_all(self, messages: Sequence[_wire.Message]) -> None:
        for content, buffers in messages:
            self.send(content, list(buffers))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the live view, and beside it a static table for viewers that cannot run it."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        html = _fallback.table(self._title, self._outline, self.expanded)
        source = {"view": self._bundle, "arguments": self._arguments()}  # for whoever draws it again, as an exporter
        return {**data, "text/plain": repr(self), "text/html": html}, {**metadata, "peaky_peek": source}

    def _arguments(self) -> list[Any]:
        """Return what the function that makes this widget is to be given, as JSON, to make it again."""
        return []


def _script(bundle: str) -> Path:
    return STATIC / f"{bundle}.js"
