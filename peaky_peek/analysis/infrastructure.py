"""Whose fault is it: the agent's, or that of what it runs on?"""

from __future__ import annotations

import re

_SERVICE = re.compile(
    r"""time[d-]?[ -]?out\b | timeout | deadline[ ]exceeded
    | connection\W{0,2}(?:error|aborted|refused|reset|closed|lost|failed|broken)
    | closed[ ]the[ ]connection | (?:remote[ ]end|peer)[ ]closed | (?:server|client)[ ]?disconnected | broken[ ]?pipe
    | network[ ]is[ ]unreachable | host[ ]unreachable | no[ ]route[ ]to[ ]host | name[ ]resolution | getaddrinfo
    | certificate[ ]verify[ ]failed | sslerror | apiconnection
    | rate.?limit | too[ ]many[ ]requests | quota | token[ ]limit[ ]is[ ]exceeded | overloaded | throttl
    | bad[ ]gateway | service.?unavailable | internal.?server.?error | server[ ]error
    | \b(?:http|status|code|error)\w*\W{1,12}(?:429|5\d\d)\b
    | out[ ]of[ ]memory | memoryerror | no[ ]space[ ]left | disk[ ]full | sigkill | segmentation[ ]fault""",
    re.VERBOSE | re.IGNORECASE,
)
_ACCESS = re.compile(r"forbidden|unauthori[sz]ed|permission.?denied|authentication|api.?key", re.IGNORECASE)
_PROGRAM = re.compile(
    r"(?:Attribute|Name|Type|UnboundLocal|Import|ModuleNotFound|Recursion|System|NotImplemented)Error$"
)
_HAS_A_SAY = ("safety_check", "refusal", "policy_violation", "behavior_alert")
_LONGEST = 2_000


def is_infrastructure(
    event_type: str, error_type: str | None, message: str | None, *, in_tool: bool, in_model: bool, acted: bool
) -> bool:
    """Tell whether a failure is of what the agent runs on: no decision of the agent would have prevented it.

    That is: a timeout, a connection that breaks, a rate limit, a 5xx answer, wherever it happens; no access to the
    model; a program error outside of every tool and model; and whatever stops a run before the agent did anything.

    Args:
        event_type: of the failed event.
        error_type: the exception, if one is known.
        message: what it said.
        in_tool: whether it happened in a call of a tool.
        in_model: whether it happened in a call of a model.
        acted: whether the run has called a model or a tool at all.

    >>> is_infrastructure("tool_result", "TimeoutError", "no answer", in_tool=True, in_model=False, acted=True)
    True
    >>> is_infrastructure("tool_result", None, "user not found", in_tool=True, in_model=False, acted=True)
    False
    """
    if event_type in _HAS_A_SAY:
        return False
    said = f"{error_type or ''}: {(message or '')[:_LONGEST]}"
    if _SERVICE.search(said):
        return True
    if in_tool:
        return False
    if _ACCESS.search(said):
        return True
    return not in_model and (not acted or bool(error_type and _PROGRAM.search(error_type)))
