"""What moves together: the widgets on one session follow each other's selection, position and filter."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from peaky_peek.store.database import Database


class Linked(Protocol):
    """A widget that moves with others."""

    def _links(self) -> Collection[Hashable]:
        """Return what it moves with: it follows every widget that has one of these in common; none when it is alone."""

    def _follow(self, name: str, value: Any) -> None:
        """Take over what another widget's `selected`, `position` or `filter` has become, as far as it can be shown."""


_widgets: weakref.WeakSet[Any] = weakref.WeakSet()


def session_link(db: Database, session_id: str) -> Hashable:
    """Return what all widgets on a session have in common."""
    return db.path, session_id


def join(widget: Linked) -> None:
    """Let a widget follow the others."""
    _widgets.add(widget)


def leave(widget: Linked) -> None:
    """Let a widget follow no longer."""
    _widgets.discard(widget)


def tell(source: Linked, links: Collection[Hashable], name: str, value: Any) -> None:
    """Tell every widget but the source that has a link in common."""
    wanted = set(links)
    for widget in list(_widgets):
        if widget is not source and not wanted.isdisjoint(widget._links()):
            widget._follow(name, value)


class Link:
    """What `link` returns: the widgets in it, until `unlink` lets each go its own way again.

    Args:
        widgets: what moves together.
    """

    def __init__(self, widgets: Collection[Linked]) -> None:
        self.widgets = tuple(widgets)
        for widget in self.widgets:
            widget.__dict__.setdefault("_extra_links", set()).add(self)
            join(widget)

    def __repr__(self) -> str:
        return f"Link({', '.join(map(repr, self.widgets))})"

    def unlink(self) -> None:
        """Let the widgets go their own ways, unless they show the same session."""
        for widget in self.widgets:
            widget.__dict__.get("_extra_links", set()).discard(self)


def link(*widgets: Linked) -> Link:
    """Let widgets move together that would not by themselves, because they show different sessions or are not `linked`.

    Selection goes by event, so of another session's nothing is selected; position and query go as they are.

    Args:
        widgets: two or more.

    Returns:
        The link, which `unlink` undoes.

    Raises:
        TypeError: if there are fewer than two, or something is no widget of Peaky Peek.

    Example:
        >>> import peaky_peek as pp
        >>> with pp.trace_session("one"), pp.trace_session("two", new_session=True):
        ...     pass
        >>> one, two = pp.tree("one"), pp.tree("two")
        >>> both = link(one, two)
        >>> one.filter = "failed"
        >>> two.filter
        'failed'
    """
    if len(widgets) < 2 or not all(hasattr(widget, "_follow") for widget in widgets):
        raise TypeError("Give two or more widgets to link, such as pp.tree(one), pp.tree(two).")
    return Link(widgets)
