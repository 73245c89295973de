"""The stories of the demo, in the order in which they are told."""

from __future__ import annotations

from peaky_peek.demo.stories import (
    bypassed_policy,
    lost_fact,
    prompt_versions,
    silent_tool,
    wrong_date,
    wrong_tool,
)

STORIES = (
    wrong_tool.STORY,
    silent_tool.STORY,
    lost_fact.STORY,
    prompt_versions.STORY,
    bypassed_policy.STORY,
    wrong_date.STORY,
)
