"""PydanticAI: `Agent.iter`, which every way to run an agent goes through, and a capability for models and tools.

A run is recorded by a wrapper around `Agent.iter`, so it does not matter when the agent was made. The wrapper adds one
of PydanticAI's own capabilities to the run, which is told of its model requests, tool calls and outputs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from peaky_peek.capture import faults
from peaky_peek.capture.context import CURRENT, open_around
from peaky_peek.capture.frameworks import pydantic_ai_messages as messages
from peaky_peek.capture.frameworks import pydantic_ai_tape
from peaky_peek.capture.frameworks.runs import Runs
from peaky_peek.capture.patching import Method, Patch, Patches
from peaky_peek.capture.providers.fields import arguments
from peaky_peek.capture.spans import Paused
from peaky_peek.capture.tracebacks import step_out, stepping_out
from peaky_peek.capture.verbs import Common, emit
from peaky_peek.events import SafetyCheck

APPROVAL = "approval"
"""The policy that says whether a tool may run for which PydanticAI asks a person."""

OWNER = "_peaky_peek"
"""The attribute of an agent that holds the `PydanticAIAdapter` whose session its runs belong to."""
Handler = Callable[[Any], Awaitable[Any]]

runs = Runs("pydantic_ai")


def install() -> None:
    """Record the runs of all agents from now on, whenever they were made.

    Raises:
        ImportError: this version of PydanticAI knows no capabilities.
    """
    from pydantic_ai import Agent

    if "capabilities" not in inspect.signature(Agent.iter).parameters:
        raise ImportError("Agent.iter takes no capabilities")
    _capability()
    _patches.install()


def uninstall() -> None:
    """Put everything back."""
    _patches.uninstall()
    _capability.cache_clear()
    runs.clear()


def _recorded(original: Method) -> Method:
    @asynccontextmanager
    async def iter(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: A001 - theirs is called so
        run = _Run()
        agent_run = None
        if _patches.installed:
            kwargs = _begun(run, self, args, kwargs) or kwargs
        try:
            async with original(self, *args, **kwargs) as agent_run:
                _name_conversation(run, agent_run)
                yield agent_run
        except BaseException as error:
            runs.ended(run, error=error)
            raise
        _wait(run, agent_run)
        runs.ended(run, *_ending(agent_run))

    return iter


_patches = Patches(Patch("pydantic_ai.agent", "Agent", ("iter",), _recorded))


class _Run:
    """Something that is under way."""


class _OutputFunction:
    """A function that makes the output of an agent of text; where the model calls for it, it is a tool call."""

    tool_call_id = None

    def __init__(self, name: str | None) -> None:
        self.tool_name = name or "output function"


@faults.guarded
def _begun(run: _Run, agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Begin the run of an agent, and return what it is to be called with: our capability among those of its own."""
    given = args[0] if args else kwargs.get("user_prompt")
    if given is None:
        given = kwargs.get("deferred_tool_results")
    owner = getattr(agent, OWNER, None)
    name, session = (agent.name or "agent", None) if owner is None else (owner.agent_name, owner.session())
    runs.agent(run, name, input=given, session=session)
    if owner is not None and (scope := runs.scope_of(run)) is not None:
        owner.begun(scope)
    return {**kwargs, "capabilities": [*(kwargs.get("capabilities") or ()), _capability()(run)]}


@faults.guarded
def _name_conversation(run: _Run, agent_run: Any) -> None:
    """Say that the session is a turn of the conversation that the run belongs to."""
    if (scope := runs.scope_of(run)) is not None:
        runs.describe(scope, agent_run.conversation_id)


@faults.guarded
def _wait(run: _Run, agent_run: Any) -> None:
    """Record what a run that ends waits to be allowed to do."""
    scope = runs.scope_of(run)
    output: Any = getattr(getattr(agent_run, "result", None), "output", None)
    if scope is None or type(output).__name__ != "DeferredToolRequests":
        return
    for call in output.approvals:
        typed = {"outcome": "warn", "rationale": "waits for approval", "evidence": [arguments(call.args)]}
        emit(SafetyCheck, scope, {}, {"policy_name": APPROVAL, "blocked_action": call.tool_name, **typed})


def _ending(agent_run: Any) -> tuple[Any, BaseException | None]:
    """Return the output of a run, or if the application left it before there was one, that it did."""
    result = getattr(agent_run, "result", None)
    return (None, GeneratorExit()) if result is None else (result.output, None)


@functools.cache
def _capability() -> Callable[[_Run], Any]:
    """Return the class of our capability; it derives from one of theirs, which exists once they are imported."""
    from pydantic_ai.capabilities import AbstractCapability

    class PeakyPeek(AbstractCapability):  # type: ignore[misc]
        """Records the model requests and tool calls of one run, and changes nothing."""

        _safe_at_runtime = True  # without it, durable runs would refuse it

        def __init__(self, run: _Run) -> None:
            super().__init__()
            self._run = run

        async def wrap_model_request(self, _: Any, *, request_context: Any, handler: Handler) -> Any:
            with stepping_out:
                return await _requested(self._run, request_context, handler)

        async def wrap_tool_validate(self, _: Any, *, call: Any, args: Any, handler: Handler, **__: Any) -> Any:
            with stepping_out:
                return await _validated(self._run, call, args, handler)

        async def wrap_tool_execute(self, ctx: Any, *, call: Any, args: Any, handler: Handler, **_: Any) -> Any:
            with stepping_out:
                return await _executed(self._run, call, args, handler, is_approved=ctx.tool_call_approved)

        async def wrap_output_validate(self, ctx: Any, *, output_context: Any, output: Any, handler: Handler) -> Any:
            call = output_context.tool_call
            with stepping_out:
                if call is None or ctx.partial_output:
                    return await handler(output)
                return await _validated(self._run, call, output, handler)

        async def wrap_output_process(self, ctx: Any, *, output_context: Any, output: Any, handler: Handler) -> Any:
            call = output_context.tool_call
            with stepping_out:
                if ctx.partial_output or not (call or output_context.has_function):
                    return await handler(output)
                call = call or _OutputFunction(output_context.function_name)
                # Not from a tape: the application wants an object of its own type.
                return await _executed(self._run, call, output, handler, is_on_tape=False)

    return PeakyPeek


async def _requested(run: _Run, context: Any, handler: Handler) -> Any:
    """Let a model be asked."""
    from pydantic_ai.exceptions import SkipModelRequest

    _deny(run, context)
    call = _Run()
    _ask(run, call, context)
    try:
        response = await handler(context)
    except BaseException as error:
        step_out(error)
        _answered(run, call, error, was_asked=not isinstance(error, SkipModelRequest))
        raise
    _answered(run, call, None, response=functools.partial(messages.response, response))
    return response


@faults.guarded
def _ask(run: _Run, call: _Run, context: Any) -> None:
    runs.model(call, functools.partial(messages.request, context), within=(run,))
    agent, inside = runs.scope_of(run), runs.scope_of(call)
    if agent is not None and inside is not None:
        agent.model = inside.model  # a streamed request is sent by the task that reads it, where our hook is not


@faults.guarded
def _answered(
    run: _Run, call: _Run, error: BaseException | None, *, was_asked: bool = True, response: Callable[[], Any] = dict,
) -> None:  # fmt: skip
    agent, inside = runs.scope_of(run), runs.scope_of(call)
    if agent is not None:
        agent.model = None
    if inside is not None and not was_asked:
        inside.model.seen = True  # there is nothing to record
    runs.ended(call, error=error, response=response)


async def _validated(run: _Run, call: Any, args: Any, handler: Handler) -> Any:
    """Let the arguments of a tool be validated. One whose arguments are refused never runs, but it was called."""
    try:
        return await handler(args)
    except Exception as error:
        step_out(error)
        if not _is_deferral(error):
            tool = _Run()
            runs.tool(tool, call.tool_name, arguments(args), within=_within(run), call_id=call.tool_call_id)
            runs.ended(tool, error=_reason(error))
        raise


async def _executed(
    run: _Run, call: Any, args: Any, handler: Handler, *, is_approved: bool = False, is_on_tape: bool = True
) -> Any:
    """Let a tool run, or what makes the output of an agent of the model's answer."""
    tool = _Run()
    runs.tool(tool, call.tool_name, args, within=_within(run), call_id=call.tool_call_id)
    if is_approved:
        _check(tool, call.tool_name, "pass")
    try:
        served = runs.served(tool) if is_on_tape else None
        result = await (handler(args) if served is None else pydantic_ai_tape.answer(served))
    except BaseException as error:
        step_out(error)
        if _is_deferral(error):
            said = {"deferred": type(error).__name__, "metadata": getattr(error, "metadata", None)}
            runs.ended(tool, error=Paused(), common={"data": said})
        else:
            runs.ended(tool, error=_reason(error))
        raise
    runs.ended(tool, result, common=_noted(result))
    return result


@faults.guarded
def _noted(result: Any) -> Common | None:
    return {"data": noted} if (noted := pydantic_ai_tape.note(result)) else None


@faults.guarded
def _deny(run: _Run, context: Any) -> None:
    """Record the tools that a person did not allow: the model is about to be told."""
    for call in messages.denied(context.messages):
        tool = _Run()
        runs.tool(tool, call.tool_name, call.arguments, within=_within(run), call_id=call.call_id)
        _check(tool, call.tool_name, "block", call.reason)
        runs.ended(tool, error=f"ToolDenied: {call.reason}")


@faults.guarded
def _check(tool: _Run, name: str, outcome: str, reason: str | None = None) -> None:
    typed = {"policy_name": APPROVAL, "outcome": outcome, "rationale": reason}
    if outcome == "block":
        typed["blocked_action"] = name
    if (scope := runs.scope_of(tool)) is not None:
        emit(SafetyCheck, scope, {}, typed)


def _within(run: _Run) -> tuple[_Run, ...]:
    """Return what a tool happens in: the run, unless the code runs in a tool of it, which then calls this one."""
    agent, scope = runs.scope_of(run), open_around(CURRENT.get())
    while scope is not None and scope.tool is not None:
        scope = scope.outside
    is_here = agent is not None and scope is not None and scope.parent_id == agent.parent_id
    return () if is_here else (run,)


def _is_deferral(error: BaseException) -> bool:
    """Tell whether a tool only said that somebody else has to allow or to do this."""
    from pydantic_ai.exceptions import ApprovalRequired, CallDeferred

    return isinstance(error, (ApprovalRequired, CallDeferred))


def _reason(error: BaseException) -> BaseException:
    """Return what a tool raised: PydanticAI wraps what it tells the model."""
    from pydantic_ai.exceptions import ToolFailedError, ToolRetryError

    wrapped = error.__cause__
    return wrapped if isinstance(error, (ToolFailedError, ToolRetryError)) and wrapped is not None else error
