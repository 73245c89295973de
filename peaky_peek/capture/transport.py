"""The wire: one hook on `send` of the HTTP clients that model SDKs are built on sees every model call.

The client classes of `httpx` and `httpx2` are patched, so it does not matter when a client is made, or by which SDK;
modules that are imported later are patched then. A request that is no model call passes untouched. The application gets
the very response that it would get anyway: only the stream of its body is looked at on the way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from peaky_peek.capture import calls, faults, streams
from peaky_peek.capture.imports import forget, when_imported

MODULES = ("httpx", "httpx2")


class _Patch(NamedTuple):
    client: type
    name: str
    original: Callable[..., Any]
    is_inherited: bool
    ours: Callable[..., Any]


_patches: dict[tuple[type, str], _Patch] = {}
_installed = False


def install() -> None:
    """Record the model calls of every client from now on, whenever it was made. Doing it twice changes nothing."""
    global _installed
    _installed = True
    for name in MODULES:
        when_imported(name, _patch)


def uninstall() -> None:
    """Put everything back. Where another tool has patched on top of us, ours stays below it and does nothing."""
    global _installed
    _installed = False
    for name in MODULES:
        forget(name, _patch)
    for place, patch in list(_patches.items()):
        if patch.client.__dict__.get(patch.name) is patch.ours:
            if patch.is_inherited:
                delattr(patch.client, patch.name)
            else:
                setattr(patch.client, patch.name, patch.original)
            del _patches[place]


@faults.guarded
def _patch(module: ModuleType) -> None:
    for kind, wrap_send in (("Client", _sync), ("AsyncClient", _async)):
        client = getattr(module, kind, None)
        for name, wrap in (("send", wrap_send), ("build_request", _holding)):
            if client is not None and (client, name) not in _patches:
                original = getattr(client, name)
                patch = _Patch(client, name, original, name not in client.__dict__, wrap(original, module))
                setattr(client, name, patch.ours)
                _patches[client, name] = patch


def _holding(original: Callable[..., Any], _: Any) -> Callable[..., Any]:
    @functools.wraps(original)
    def build_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = original(self, *args, **kwargs)
        if _installed:
            calls.hold(request)
        return request

    return build_request


def _sync(original: Callable[..., Any], module: Any) -> Callable[..., Any]:
    stream = streams.watched(module.SyncByteStream)

    @functools.wraps(original)
    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        call = calls.begin(request) if _installed else None
        if call is None:
            return original(self, request, *args, **kwargs)
        try:
            response = original(self, request, *args, **kwargs)
        except BaseException as error:
            call.ended(error)
            raise
        call.answered(response, stream)
        return response

    return send


def _async(original: Callable[..., Any], module: Any) -> Callable[..., Any]:
    stream = streams.watched_async(module.AsyncByteStream)

    @functools.wraps(original)
    async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        call = calls.begin(request) if _installed else None
        if call is None:
            return await original(self, request, *args, **kwargs)
        try:
            response = await original(self, request, *args, **kwargs)
        except BaseException as error:
            call.ended(error)
            raise
        call.answered(response, stream)
        return response

    return send
