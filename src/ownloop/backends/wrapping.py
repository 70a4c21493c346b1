"""What is Keras' own, wrapped for as long as somebody listens, and then as it was.

The wrappers are there for the whole process, in whatever order listeners begin and
end. Each thread has listeners of its own, and which of them is told of what is the
wrappers' business.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, final

Listener = TypeVar("Listener")


@final
class Wrapping(Generic[Listener]):
    """Wraps attributes of classes while any thread has a listener.

    Args:
        wrappers: Called when the first one begins; returns a class, the name of an
            attribute, and what is to stand there, as often as something is wrapped.

    Example:
        >>> class Bell:
        ...     def ring(self):
        ...         return "ding"
        ...
        >>> wrapping = Wrapping(lambda: [(Bell, "ring", lambda self: "dong")])
        >>> wrapping.begin("somebody")
        >>> Bell().ring(), wrapping.listeners
        ('dong', ['somebody'])
        >>> wrapping.end("somebody")
        >>> Bell().ring()
        'ding'
    """

    def __init__(self, wrappers: Callable[[], Iterable[tuple[type, str, Any]]]) -> None:
        self._wrappers = wrappers
        self._here = _Here()
        self._lock = threading.Lock()
        self._count = 0
        # What was the class' own; None: it was inherited.
        self._replaced: list[tuple[type, str, Any]] = []

    @property
    def listeners(self) -> list[Listener]:
        """Who listens in this thread, in the order in which they began."""
        return self._here.listeners

    def begin(self, listener: Listener) -> None:
        """Lets somebody listen in this thread."""
        with self._lock:
            if not self._count:
                for owner, name, wrapper in self._wrappers():
                    self._replaced.append((owner, name, vars(owner).get(name)))
                    setattr(owner, name, wrapper)
            self._count += 1
        self.listeners.append(listener)

    def end(self, listener: Listener) -> None:
        """Stops this; behind the last one the classes are as Keras made them."""
        self.listeners.remove(listener)
        with self._lock:
            self._count -= 1
            while self._replaced and not self._count:
                owner, name, own = self._replaced.pop()
                if own is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, own)


@final
class _Here(threading.local):
    def __init__(self) -> None:
        self.listeners: list[Any] = []
