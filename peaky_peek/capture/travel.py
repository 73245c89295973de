"""Takes a scope to another process of Python: what it has to know to record into the same session."""

from __future__ import annotations

import functools
import pickle
from typing import Any, NamedTuple

from peaky_peek import store
from peaky_peek.capture import faults, recorder
from peaky_peek.capture.context import Budget, OpenSession, Scope


class Origin(NamedTuple):
    """What another process needs to know to record into a scope of this one."""

    session: tuple[str, str, str, bool, Budget | None]
    """Id, name, root, whether it is sampled and what its run may cost."""
    parent_id: str | None
    agent: str | None
    inferred: bool
    store: str
    options: dict[str, Any]


@faults.guarded
def origin(scope: Scope) -> Origin:
    """Return a scope in a form that can be pickled."""
    at, options = scope.session, recorder.options()
    sampled = at.sampled
    try:
        pickle.dumps(options)
    except Exception:  # noqa: BLE001 - rather not recorded there than recorded with secrets
        sampled, options = False, {}
    session = (at.id, at.name, at.root_id, sampled, at.budget)
    return Origin(session, scope.parent_id, scope.agent, bool(scope.inferred), str(store.current().path), options)


@faults.guarded
def arrive(origin: Origin) -> Scope:
    """Return the scope, in the process that `origin` was sent to; what this process chose itself stays."""
    if not store.chosen():
        store.use(origin.store)
    if not recorder.options():
        recorder.configure(**origin.options)
    return Scope(_session(*origin.session), origin.parent_id, origin.agent, origin.inferred)


@functools.lru_cache(maxsize=1000)
def _session(session_id: str, name: str, root_id: str, sampled: bool, budget: Budget | None) -> OpenSession:
    return OpenSession(session_id, name, root_id, sampled, budget=budget)
