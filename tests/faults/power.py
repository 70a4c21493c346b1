"""A file system that knows what a power cut may take, by the least POSIX promises.

In it a change to a folder's names is pending until that folder is synchronised, and a
file's new bytes are until the file is. After a power cut

* any subset of the pending changes to names has happened, and
* what a file got since it was synchronised is whole, torn, zeros (all or the end), or
  missing; and where it was cut back since, the bytes of before may be there again.

Two things are trusted: that bytes which were synchronised stay as they are when others
are added behind them, and that a file's content is not another file's.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from faults.disks import Call

HOME = Path("/run")
"""The folder that is there before anything else, durably."""

Tree = bytes | tuple[tuple[str, "Tree"], ...]
"""A file's content, or a folder's names and what they are the names of, sorted."""


@final
class Model:
    """Plays calls, and says after each in which states the disk may be."""

    def __init__(self) -> None:
        self._home = _Folder()

    def play(self, call: Call) -> None:
        """Do what a call does."""
        folder = self._folder(call.path.parent) if call.path != HOME else self._home
        name = call.path.name
        match call.verb:
            case "make_folder":
                folder.change({name: _Folder()})
            case "create":
                folder.change({name: _File()})
            case "append":
                self._file(call.path).content += call.content
            case "truncate":
                self._file(call.path).cut_back(call.size)
            case "sync":
                self._file(call.path).sync()
            case "rename":
                assert call.target is not None
                assert call.target.parent == call.path.parent
                folder.change({name: None, call.target.name: folder.names[name]})
            case "sync_folder":
                self._folder(call.path).sync()
            case "remove_file" | "remove_folder":
                folder.change({name: None})
            case verb:
                raise AssertionError(f"the model knows no {verb}")

    def states(self) -> Iterator[Tree]:
        """Give what a power cut may leave now; a state may come more than once."""
        return self._home.states()

    def _folder(self, path: Path) -> "_Folder":
        node = self._home
        for name in path.relative_to(HOME).parts:
            inner = node.names[name]
            assert isinstance(inner, _Folder)
            node = inner
        return node

    def _file(self, path: Path) -> "_File":
        node = self._folder(path.parent).names[path.name]
        assert isinstance(node, _File)
        return node


@dataclass(eq=False)
class _File:
    content: bytes = b""
    # So many bytes at the begin stay, and instead of all the file may be one of these.
    durable: int = 0
    earlier: tuple[Tree, ...] = ()

    def sync(self) -> None:
        self.durable, self.earlier = len(self.content), ()

    def cut_back(self, length: int) -> None:
        if length < len(self.content):
            self.earlier = tuple(dict.fromkeys(self.states()))
            self.content = self.content[:length]
            self.durable = min(self.durable, length)

    def states(self) -> Iterator[Tree]:
        yield self.content
        yield from self.earlier
        kept, new = self.content[: self.durable], self.content[self.durable :]
        if new:
            size = len(new)
            yield kept + new[: size // 2]
            yield kept + bytes(size)
            written = size * 15 // 16
            yield kept + new[:written] + bytes(size - written)
            yield kept


@dataclass(eq=False)
class _Folder:
    # What the running system sees, what the disk has for certain, and what is between.
    names: dict[str, "_File | _Folder"] = field(default_factory=dict)
    durable: dict[str, "_File | _Folder"] = field(default_factory=dict)
    pending: list[dict[str, "_File | _Folder | None"]] = field(default_factory=list)

    def change(self, names: dict[str, "_File | _Folder | None"]) -> None:
        """Change names in one act; None takes a name away."""
        self.pending.append(names)
        _apply(self.names, names)

    def sync(self) -> None:
        self.durable = dict(self.names)
        self.pending = []

    def states(self) -> Iterator[Tree]:
        for happened in itertools.product((True, False), repeat=len(self.pending)):
            names = dict(self.durable)
            for change in itertools.compress(self.pending, happened):
                _apply(names, change)
            order = sorted(names)
            inner = [set(names[name].states()) for name in order]
            for trees in itertools.product(*inner):
                yield tuple(zip(order, trees, strict=True))


def _apply(
    names: dict[str, _File | _Folder], change: dict[str, _File | _Folder | None]
) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node
