"""OpenAI Agents SDK: its trace processors tell when agents, tools and handoffs begin and end, its run hooks the rest.

A span knows neither what an agent is given and returns, nor the id and the arguments of a tool's call before its end.
Run hooks do: ours stand before those of the user in every run. Guardrails are looked at where they are run, because the
spans of some tell too little, and others have none.
"""

from __future__ import annotations

import functools
import sys
from importlib import import_module
from typing import Any

from peaky_peek.capture import faults
from peaky_peek.capture.context import inside
from peaky_peek.capture.frameworks import openai_agents_messages as messages
from peaky_peek.capture.frameworks import openai_agents_tape, openai_agents_untraced
from peaky_peek.capture.frameworks.openai_agents_runs import PROCESSOR, START, TOLD, Start, check, clear, seen_of
from peaky_peek.capture.patching import Method, Patch, Patches
from peaky_peek.capture.tracebacks import stepping_out


def install() -> None:
    """Record the runs of all agents from now on, whenever they were made.

    Raises:
        AttributeError: this version of the SDK is another one.
    """
    if not hasattr(import_module("agents"), "Runner"):
        return  # a package of the user's, of the same name
    for patch in _PATCHES:
        owner = getattr(import_module(patch.module), patch.owner)
        for name in patch.names:
            getattr(owner, name)
    openai_agents_tape.install()
    openai_agents_untraced.patches.install()
    _patches.install()
    provider = import_module("agents.tracing.setup").GLOBAL_TRACE_PROVIDER
    if provider is not None:
        provider.register_processor(PROCESSOR)


def uninstall() -> None:
    """Put everything back."""
    _patches.uninstall()
    openai_agents_untraced.patches.uninstall()
    openai_agents_tape.uninstall()
    setup = sys.modules.get("agents.tracing.setup")
    provider = None if setup is None else setup.GLOBAL_TRACE_PROVIDER
    known = getattr(getattr(provider, "_multi_processor", None), "_processors", ())
    if provider is not None and PROCESSOR in known:
        provider.set_processors([each for each in known if each is not PROCESSOR])
    clear()


@functools.cache
def _hooks() -> type:
    """Return a class of run hooks that tell us before they tell the user's."""
    base: Any = import_module("agents.lifecycle").RunHooksBase

    def __init__(self: Any, theirs: Any) -> None:  # noqa: N807
        self.theirs = base() if theirs is None else theirs

    def hook(name: str) -> Method:
        tell: Any = TOLD.get(name)

        # No coroutine: that would be run in a task of its own, and the place where events go be set only there.
        def told(self: Any, *args: Any, **kwargs: Any) -> Any:
            if tell is not None and _patches.installed:
                tell(*args, **kwargs)
            with stepping_out:
                return getattr(self.theirs, name)(*args, **kwargs)

        return told

    hooks = {name: hook(name) for name in dir(base) if name.startswith("on_")}
    return type("RunHooks", (base,), {"__init__": __init__, **hooks})


@faults.guarded
def _started(_: Any, agent: Any, input: Any = None, **options: Any) -> tuple[Start, dict[str, Any]]:  # noqa: A002
    """Return what is known of a run, and the options of it with our hooks before the user's."""
    theirs = options.get("hooks")
    if theirs is None or isinstance(theirs, import_module("agents.lifecycle").RunHooksBase):
        options["hooks"] = _hooks()(theirs)
    config = options.get("run_config")
    return Start(agent, input, messages.thread(options), config), options


def _running(original: Method) -> Method:
    async def run(*args: Any, **options: Any) -> Any:
        started = _started(*args, **options) if _patches.installed else None
        if started is None:
            with stepping_out:
                return await original(*args, **options)
        with inside(started[0], START), stepping_out:
            return await original(*args, **started[1])

    return run


def _streaming(original: Method) -> Method:
    def run_streamed(*args: Any, **options: Any) -> Any:
        started = _started(*args, **options) if _patches.installed else None
        if started is None:
            with stepping_out:
                return original(*args, **options)
        with inside(started[0], START), stepping_out:
            return original(*args, **started[1])

    return run_streamed


def _erring(original: Method) -> Method:
    def set_error(self: Any, *args: Any, **kwargs: Any) -> None:
        seen = seen_of.get(self.span_id)
        if seen is not None and (error := sys.exception()) is not seen.around:
            seen.error = error  # what a span says of an error may leave out what it was
        original(self, *args, **kwargs)

    return set_error


def _providing(original: Method) -> Method:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        _attend(self)

    return __init__


def _replacing(original: Method) -> Method:
    def set_processors(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        _attend(self)

    return set_processors


@faults.guarded
def _attend(provider: Any) -> None:
    if _patches.installed:
        provider.register_processor(PROCESSOR)


def _guarding(original: Method) -> Method:
    async def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with stepping_out:
            result = await original(self, *args, **kwargs)
        if _patches.installed:
            _checked(self, result, *args, **kwargs)
        return result

    return run


@faults.guarded
def _checked(guardrail: Any, result: Any, *args: Any, **_: Any) -> None:
    """Record what a guardrail of an agent or of a tool said."""
    found = messages.verdict(guardrail, result, args[0] if args else None)
    check(guardrail.get_name(), **found)


_PATCHES = (
    Patch("agents.run", "AgentRunner", ("run",), _running),
    Patch("agents.run", "AgentRunner", ("run_streamed",), _streaming),
    Patch("agents.tracing.spans", "SpanImpl", ("set_error",), _erring),
    Patch("agents.tracing.provider", "DefaultTraceProvider", ("__init__",), _providing),
    Patch("agents.tracing.provider", "DefaultTraceProvider", ("set_processors",), _replacing),
    Patch("agents.guardrail", "InputGuardrail", ("run",), _guarding),
    Patch("agents.guardrail", "OutputGuardrail", ("run",), _guarding),
    Patch("agents.tool_guardrails", "ToolInputGuardrail", ("run",), _guarding),
    Patch("agents.tool_guardrails", "ToolOutputGuardrail", ("run",), _guarding),
)
_patches = Patches(*_PATCHES)
