"""The carrier of a scope to another process of Python: what it has to know to record into the same session."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from peaky_peek import store
from peaky_peek.capture import faults, recorder
from peaky_peek.capture.context import Limits, OpenSession, Scope


class Carrier(NamedTuple):
    """What another process needs to know to record into a scope of this one; it can be pickled."""

    session: tuple[str, str, str, bool, Limits | None]
    """Id, name, root, whether it is sampled and what its run may do."""
    parent_id: str | None
    agent: str | None
    inferred: bool
    store: str
    options: dict[str, Any]


@faults.guarded
def inject(scope: Scope) -> Carrier:
    """Return what carries a scope to another process."""
    at, options = scope.session, recorder.options()
    sampled = at.sampled
    try:
        import pickle  # whoever starts processes has loaded it

        pickle.dumps(options)
    except Exception:  # noqa: BLE001 - rather not recorded there than recorded with secrets
        sampled, options = False, {}
    session = (at.id, at.name, at.root_id, sampled, at.limits)
    return Carrier(session, scope.parent_id, scope.agent, bool(scope.inferred), str(store.current().path), options)


@faults.guarded
def extract(carrier: Carrier) -> Scope:
    """Return the scope in the process that it was carried to; what this process chose itself stays."""
    if not store.chosen():
        store.use(carrier.store)
    if not recorder.options():
        recorder.configure(**carrier.options)
    return Scope(_session(*carrier.session), carrier.parent_id, carrier.agent, carrier.inferred)


@functools.lru_cache(maxsize=1000)
def _session(session_id: str, name: str, root_id: str, sampled: bool, limits: Limits | None) -> OpenSession:
    return OpenSession(session_id, name, root_id, sampled, limits=limits)
