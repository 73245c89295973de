"""Words and colours that recorder, frames, analysis and widgets share."""

from __future__ import annotations

STATUSES = ("ok", "error", "cancelled")
SESSION_STATUSES = ("running", "completed", "failed", "interrupted")
SEVERITIES = ("low", "medium", "high", "critical")
"""From the mildest to the worst."""
CLOSES = {"agent_end": "agent_start", "llm_response": "llm_request", "tool_result": "tool_call"}
"""Which type closes which: the pair is shown as one step."""

FAMILY_COLORS = {
    "session": {"light": "#57606a", "dark": "#9aa4af"},
    "llm": {"light": "#2563c9", "dark": "#6ea8fe"},
    "tool": {"light": "#0f7b6c", "dark": "#4fc3ae"},
    "decision": {"light": "#8250c8", "dark": "#b794f6"},
    "checkpoint": {"light": "#8a6100", "dark": "#d9a93f"},
    "risk": {"light": "#c4262e", "dark": "#ff7b72"},
}
"""One colour per family, readable (AA) on the light and on the dark background of a notebook."""

_FAMILIES = {
    "session": ("agent_start", "agent_end", "agent_turn"),
    "llm": ("llm_request", "llm_response", "prompt_policy"),
    "tool": ("tool_call", "tool_result"),
    "decision": ("decision", "safety_check", "behavior_alert", "repair_attempt"),
    "checkpoint": ("checkpoint", "drift"),
    "risk": ("error", "refusal", "policy_violation"),
}
FAMILIES: dict[str, str] = {kind: family for family, kinds in _FAMILIES.items() for kind in kinds}
"""Event type to family; an event that failed belongs to `risk` whatever its type."""
