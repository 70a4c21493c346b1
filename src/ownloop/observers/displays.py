"""The three ways to show a running pass: lines, a plain bar, a bar drawn by rich.

A display owns the last line of a terminal while a pass runs, and gives it back after.
What the user prints meanwhile appears above it. It never counts or formats a number.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, NamedTuple, TextIO, final

from ownloop.counts import counted

_SECONDS_BETWEEN_DRAWINGS = 0.1
_ERASE_LINE = "\r\x1b[2K"


class Bar(NamedTuple):
    """What there is to see of a running pass."""

    title: str
    done: int
    total: int | None
    words: str


class AbstractDisplay(ABC):
    """Where bars and lines go.

    Laws: `show` may be called thousands of times a second; after `finish` the line of
    text stays on the screen; after `close` nothing else of the display is there, and
    `sys.stdout` and `sys.stderr` are what they were.
    """

    @abstractmethod
    def show(self, key: Hashable, bar: Bar) -> None:
        """Draws or updates the bar of the pass `key`."""

    @abstractmethod
    def finish(self, key: Hashable, line: str) -> None:
        """Removes the bar of the pass `key` and leaves `line` behind."""

    @abstractmethod
    def close(self) -> None:
        """Removes all bars."""


def display_for(stream: TextIO) -> AbstractDisplay:
    """Returns what `stream` can show: bars need a terminal, the best of them rich."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return Lines(stream)
    try:
        import rich.progress  # noqa: F401  (optional, and slow to import)
    except ImportError:
        return PlainBar(stream)
    return RichBars(stream)


@final
class Lines(AbstractDisplay):
    """One line per finished pass and nothing else, for files and CI logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, key: Hashable, bar: Bar) -> None:
        pass

    def finish(self, key: Hashable, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        pass


@final
class RichBars(AbstractDisplay):
    """A bar for each running pass; rich moves what is printed above them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._progress: Any = None
        self._tasks: dict[Hashable, Any] = {}
        self._drawn = 0.0

    def show(self, key: Hashable, bar: Bar) -> None:
        progress = self._started()
        state = {"completed": bar.done, "total": bar.total, "words": bar.words}
        if key in self._tasks:
            progress.update(self._tasks[key], **state)
        else:
            self._tasks[key] = progress.add_task(bar.title, **state)
        now = time.monotonic()
        if now - self._drawn >= _SECONDS_BETWEEN_DRAWINGS:
            self._drawn = now
            progress.refresh()

    def finish(self, key: Hashable, line: str) -> None:
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))
        if not self._tasks:
            self.close()
            self._stream.write(line + "\n")
            self._stream.flush()
        else:
            self._progress.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            atexit.unregister(self._progress.stop)
            self._progress = None
        self._tasks.clear()
        self._drawn = 0.0

    def _started(self) -> Any:
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress

            self._progress = Progress(
                "{task.description}",
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                "{task.fields[words]}",
                console=Console(file=self._stream),
                # No thread draws: it would run beside the user's code and outlive a
                # fork. The bar moves when a chunk is done.
                auto_refresh=False,
                transient=True,
                # Only a terminal's text may be moved; `program > file` stays whole.
                redirect_stdout=sys.stdout.isatty(),
                redirect_stderr=sys.stderr.isatty(),
            )
            self._progress.start()
            # rich hides the cursor; a program that ends inside a pass gets it back.
            atexit.register(self._progress.stop)
        return self._progress


@final
class PlainBar(AbstractDisplay):
    """The latest pass on one line, for a terminal without rich."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._proxies: dict[str, _Interruption] = {}
        self._visible = False
        self._drawn = 0.0

    def show(self, key: Hashable, bar: Bar) -> None:
        now = time.monotonic()
        if now - self._drawn < _SECONDS_BETWEEN_DRAWINGS:
            return
        self._take_streams()
        if any(proxy.inside_a_line for proxy in self._proxies.values()):
            return  # the user is not done with this line: print("...", end="")
        self._drawn = now
        width = shutil.get_terminal_size().columns - 1
        text = f"{bar.title} {_blocks(bar)}  {bar.words}"
        self._stream.write(_ERASE_LINE + text[:width])
        self._stream.flush()
        self._visible = True

    def finish(self, key: Hashable, line: str) -> None:
        self.close()
        self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        self.erase()
        self._drawn = 0.0
        for name, proxy in self._proxies.items():
            # Somebody else may have put a stream of their own over ours meanwhile.
            if getattr(sys, name) is proxy:
                setattr(sys, name, proxy.stream)
        self._proxies.clear()

    def erase(self) -> None:
        """Takes the bar off the screen until it is drawn again."""
        if self._visible:
            self._stream.write(_ERASE_LINE)
            self._stream.flush()
            self._visible = False

    def _take_streams(self) -> None:
        if self._proxies:
            return
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream.isatty():
                self._proxies[name] = _Interruption(stream, self)
                setattr(sys, name, self._proxies[name])


@final
class _Interruption:
    """A terminal's stream that takes the bar away before somebody else writes."""

    def __init__(self, stream: TextIO, bar: PlainBar) -> None:
        self.stream = stream
        self.inside_a_line = False
        self._bar = bar

    def write(self, text: str) -> int:
        self._bar.erase()
        if text:
            self.inside_a_line = not text.endswith("\n")
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _blocks(bar: Bar, width: int = 20) -> str:
    if not bar.total:
        return counted(bar.done, "batch", "batches")
    filled = min(width, width * bar.done // bar.total)
    return f"[{'#' * filled}{'.' * (width - filled)}] {bar.done}/{bar.total}"
