"""Small agents that go wrong in known ways, and the scripted model they talk to: offline, in a store of their own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peaky_peek.demo.server import ModelServer


@cache
def model_server() -> ModelServer:
    """The scripted model of every story, on a port of this machine for as long as this process lives.

    Example:
        >>> client = model_server().client("silent-tool")  # an openai.OpenAI
        >>> client.base_url.path
        '/silent-tool/v1/'
    """
    from peaky_peek.demo.server import ModelServer
    from peaky_peek.demo.stories import STORIES

    return ModelServer({story.key: story.script for story in STORIES})
