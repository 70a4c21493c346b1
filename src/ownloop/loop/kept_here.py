"""What this process has kept of runs, by the folders in which they are.

Remembers the checkpoints, the objects and who saves, for as long as the process lives:
a lock tells less, since who is refused gives it back, and so does a loop that is gone.
Holds no object, and reads and writes no file.
"""

import contextlib
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, final

from ownloop.checkpoints import Writer

_CHECKPOINTS: Final[dict[Path, set[str | None]]] = {}
"""Those that were saved or begun with; None is a run without one."""

_OBJECTS: Final[dict[Path, dict[int, weakref.ref[Any]]]] = {}
"""By their identity."""

_WRITERS: "Final[weakref.WeakValueDictionary[Path, Writer]]" = (
    weakref.WeakValueDictionary()
)
"""What was the last to save in a folder, perhaps for a loop that does so still."""


@final
class KeptHere:
    """What this process has kept in one folder, by whichever loop.

    Args:
        folder: Where; what it leads to is asked each time.

    Example:
        >>> kept = KeptHere(Path("runs/digits"))
        >>> kept.has_checkpoint("step-300")
        False
        >>> kept.note_checkpoint("step-300")
        >>> KeptHere(Path("runs") / "digits").has_checkpoint("step-300")
        True
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note_checkpoint(self, name: str | None) -> None:
        """Takes note of a checkpoint that was saved or begun with, if there is one."""
        _CHECKPOINTS.setdefault(self._folder.resolve(), set()).add(name)

    def has_checkpoint(self, name: str | None) -> bool:
        """Whether this process has saved it, or has begun with it."""
        return name in _CHECKPOINTS.get(self._folder.resolve(), ())

    def note_objects(self, objects: Iterable[Any]) -> None:
        """Takes note of the objects whose run is kept there."""
        path = self._folder.resolve()
        earlier = _OBJECTS.get(path, {})
        kept = {n: ref for n, ref in earlier.items() if ref() is not None}
        for thing in objects:
            with contextlib.suppress(TypeError):  # It cannot be known again.
                kept[id(thing)] = weakref.ref(thing)
        _OBJECTS[path] = kept

    def has_object(self, thing: Any) -> bool:
        """Whether a run of this very object was kept there."""
        kept = _OBJECTS.get(self._folder.resolve(), {}).get(id(thing))
        return kept is not None and kept() is thing

    def save_after_others(self, writer: Writer) -> None:
        """Lets a loop that had the folder before end what it is saving there.

        Args:
            writer: Saves there from now on.
        """
        path = self._folder.resolve()
        before = _WRITERS.get(path)
        if before is not None:
            before.wait()
        _WRITERS[path] = writer
