"""Cells as sessions: a `%%peek` cell is one, and so is any other cell as soon as it makes a model or tool call.

Nothing is run twice or in another way: IPython tells when a cell begins and ends, and `%%peek` is only a line that is
taken away before the cell is run.
"""

from __future__ import annotations

import ast
import os
import sys
import threading
from typing import TYPE_CHECKING

from peaky_peek.capture import context, faults
from peaky_peek.capture.context import CURRENT, OUTSIDE, Scope
from peaky_peek.capture.spans import TraceContext
from peaky_peek.errors import PeekError
from peaky_peek.magics import heading
from peaky_peek.magics.line import Line

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell


class Cells(ast.NodeTransformer):
    """The cells of a notebook, as IPython's hooks tell them.

    One stays the place for what its threads and tasks do after its end, however many run meanwhile.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        typed = shell.history_manager.input_hist_raw if shell.history_manager else [""]
        self._current = _Cell(shell, str(typed[-1]))  # the one that loads the extension
        self._running: list[_Cell] = []
        self._late: list[_Cell] = []
        """Cells whose session began after their end, with what a thread of theirs did."""

    def install(self) -> None:
        """Ask IPython to tell."""
        self._shell.input_transformers_cleanup.append(heading.remove)
        self._shell.ast_transformers.append(self)
        self._shell.events.register("pre_run_cell", self._begin)
        self._shell.events.register("post_run_cell", self._end)
        context.fallback = self.scope

    def uninstall(self) -> None:
        """Undo `install`."""
        context.fallback, context.origin = None, {}
        OUTSIDE.set(None)
        self._end_late()
        self._current.end()
        self._shell.events.unregister("pre_run_cell", self._begin)
        self._shell.events.unregister("post_run_cell", self._end)
        self._shell.ast_transformers.remove(self)
        self._shell.input_transformers_cleanup.remove(heading.remove)

    def scope(self) -> Scope | None:
        """Return where what happens outside all sessions belongs: in the cell's own, which is begun now if need be."""
        return self.scope_in(self._current)

    def visit(self, node: ast.AST) -> ast.AST:
        """Record a `%%peek` cell from here: transformers of the syntax tree are asked when a cell is about to run."""
        for cell in self._running:
            if cell.is_asked:
                cell.record()
                break  # the others are parts of it, which a magic such as `%%capture` runs
        return node

    @faults.guarded
    def _begin(self, info: ExecutionInfo) -> None:
        cell = _Cell(self._shell, str(info.raw_cell), info)
        if not self._running:
            self._end_late()
            self._current = cell
            context.origin = cell.origin()
            OUTSIDE.set(_Asked(self, cell, context.origin))
            left = CURRENT.get()
            if left is not None and left.session.id not in context.open_sessions:
                CURRENT.set(None)  # a session that ended in a later cell than it began in leaves the one around it
        self._running.append(cell)
        _keep_from_autoreload(self._shell)

    @faults.guarded
    def _end(self, result: ExecutionResult | None) -> None:
        """End what `_begin` began; IPython has no result of a cell that was cancelled, and ends blank ones unbegun."""
        if self._running and (result is None or result.info is self._running[-1].info):
            self._running.pop().end(result, error=KeyboardInterrupt() if result is None else None)
        elif not self._running:
            self._current.end(result)
        self._end_late()

    def scope_in(self, cell: _Cell) -> Scope | None:
        """Return the inside of a cell's session; one that begins after the cell's end is ended with the next cell."""
        scope = cell.scope()
        if cell.is_over and not cell.is_ended and cell not in self._late:
            self._late.append(cell)
        return scope

    def _end_late(self) -> None:
        while self._late:
            self._late.pop().end()


class _Asked:
    """What a cell's own threads and tasks ask for their place."""

    def __init__(self, cells: Cells, cell: _Cell, origin: dict[str, str | None]) -> None:
        self._cells, self._cell, self.origin = cells, cell, origin

    def __call__(self) -> Scope | None:
        return self._cells.scope_in(self._cell) if context.fallback == self._cells.scope else None


class _Cell:
    """One run of a cell."""

    def __init__(self, shell: InteractiveShell, source: str, info: ExecutionInfo | None = None) -> None:
        self.info = info
        self._shell = shell
        self._heading, self._source = heading.split(source)
        self.is_asked = self._heading is not None and bool(self._source.strip())
        self._number = shell.execution_count - (info is None or info.store_history)
        self._span: TraceContext | None = None
        self._line: Line | None = None
        self._opens = False
        self.is_over = False
        """Whether the cell has run."""
        self._lock = threading.RLock()

    def origin(self) -> dict[str, str | None]:
        """Return where sessions begun in this cell come from, as Jupyter servers and VS Code tell it."""
        notebook = os.environ.get("JPY_SESSION_NAME") or self._shell.user_ns.get("__vsc_ipynb_file__")
        return {"notebook": notebook, "cell": getattr(self.info, "cell_id", None) or self._name}

    def scope(self) -> Scope | None:
        """Return the inside of the cell's session."""
        with self._lock:
            if self._span is None:
                self._span = self._make_span(self._name)  # known before it begins: an interrupt may come in between
                self._span.open()
            return self._span._scope()

    @property
    def is_ended(self) -> bool:
        """Whether there is no session that is still to be ended."""
        return self._span is None or self._span.session_id not in context.open_sessions

    @faults.guarded
    def record(self) -> None:
        """Begin the session that was asked for and show the line."""
        if self._span is not None:
            return
        wanted = heading.parse(self._expand(self._heading or ""))
        if wanted.problem:
            _say(wanted.problem)
        if context.paused:
            _say("This cell is not recorded: `%peek on` switches the recording on again.")
            return
        try:
            self._span = self._make_span(wanted.name or self._name, stop_on=wanted.stop_on)
        except ValueError as problem:
            _say(f"%%peek does not stop this cell: {problem}")
            self._span = self._make_span(wanted.name or self._name)
        self._span.__enter__()
        self._opens = wanted.opens
        scope = self._span._scope()
        if scope is not None and scope.session.sampled and not wanted.quiet:
            self._line = Line(self._shell, scope.session.name, scope.session.id)

    def end(self, result: ExecutionResult | None = None, error: BaseException | None = None) -> None:
        """End the session, if there is one."""
        self.is_over = True
        span, line, self._line = self._span, self._line, None
        if span is not None and not self.is_ended:
            if result is not None:
                error = result.error_before_exec or result.error_in_exec
                span.output = result.result
            span.close(error)
        if line is not None:
            try:
                line.end(expanded=self._opens or error is not None)
            except PeekError as problem:
                _say(str(problem))

    @property
    def _name(self) -> str:
        return f"In [{self._number}]"

    def _make_span(self, name: str, stop_on: str = "") -> TraceContext:
        return TraceContext(name, new_session=True, code=self._source, stop_on=stop_on)

    def _expand(self, text: str) -> str:
        """Fill in the user's `{variables}`; where the stack is not that deep, IPython leaves ours out of it."""
        return str(self._shell.var_expand(text, depth=sys.getrecursionlimit()))  # type: ignore[no-untyped-call]


def _keep_from_autoreload(shell: InteractiveShell) -> None:
    """Let `%autoreload` pass over our modules: loaded again, they would know nothing of the sessions that are open."""
    autoreload = shell.magics_manager.registry.get("AutoreloadMagics")
    reloader = getattr(autoreload, "_reloader", None)
    if reloader is not None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "peaky_peek"]:
            if name not in reloader.skip_modules:
                reloader.mark_module_skipped(name)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201
