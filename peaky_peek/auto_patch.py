"""`import peaky_peek.auto_patch` records a program that knows nothing else of Peaky Peek.

It does so when the environment variable `PEAKY_PEEK_AUTO_PATCH` is `true` or `all`, or a list of names, such as
`openai,langchain`: then of the frameworks only those that are named are hooked into; the calls of all clients are seen
either way. What happens outside any session goes into one that is named after the script.
"""

from __future__ import annotations

from peaky_peek.capture import autopatch

if autopatch.is_asked():
    autopatch.install()
