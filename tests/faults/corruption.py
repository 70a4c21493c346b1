"""Bytes that changed and files that moved, each in a checkpoint that was whole."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from faults.samples import RUN, bits, sample, scratch
from ownloop.checkpoints import Checkpoint, Store
from ownloop.checkpoints.manifest import FILES
from ownloop.errors import CheckpointError

VALUES = 6000  # the arrays take some pages
PAGE = 4096
SEED = 20261124

Damage = Callable[[Path], None]
"""Changes the newest of three checkpoints, in the folder that it is given."""


@final
@dataclass(frozen=True)
class CorruptionCount:
    """What came of the damages.

    Attributes:
        cases: damages, each of which changed the checkpoint.
        detected: those that were refused with a reason, the one before being found.
        silent: those that were loaded; named, and there must be none.
    """

    cases: int
    detected: int
    silent: tuple[str, ...]


def count_corruptions() -> CorruptionCount:
    """Damage the newest checkpoint in every way, and ask for the newest."""
    cases = detected = 0
    silent = []
    with scratch() as base:
        start = Path(base, "start")
        store = Store(start, run=RUN)
        for step in (1, 2, 3):
            store.commit(sample(step, values=VALUES))
        foreign = sample(9, values=VALUES)
        foreign = Checkpoint(3, foreign.tensors, foreign.meta)
        Store(Path(base, "other"), run="run-2").commit(foreign)
        for name, damage in damages(start / "step-3"):
            folder = Path(base, "damaged")
            shutil.copytree(start, folder)
            damage(folder)
            if _content(folder) == _content(start):
                raise AssertionError(f"{name!r} changes nothing")
            cases += 1
            if _is_detected(folder):
                detected += 1
            else:
                silent.append(name)
            shutil.rmtree(folder)
    return CorruptionCount(cases, detected, tuple(silent))


def _content(folder: Path) -> object:
    """Give what is in a folder: kinds, names and bytes."""
    return [
        (str(path.relative_to(folder)), path.is_symlink(), path.stat().st_mode, content)
        for path in sorted(folder.rglob("*"))
        for content in [path.read_bytes() if path.is_file() else b""]
    ]


def _is_detected(folder: Path) -> bool:
    """Tell whether the newest is refused, with a reason, for a sound older one."""
    store = Store(folder, run=RUN)
    try:
        store.load("step-3")
    except CheckpointError:
        found = store.newest()
    else:
        return False
    expected = sample(2, values=VALUES)
    if found.name == "step-1":  # the damage was to the second, too
        expected = sample(1, values=VALUES)
    ill = [finding for finding in store.verify() if not finding.ok]
    return (
        bits(found.checkpoint) == bits(expected)
        and all(reason for _, reason in found.refused)
        and len(ill) >= 1
        and all(finding.reason for finding in ill)
    )


def damages(sound: Path) -> Iterator[tuple[str, Damage]]:
    """Give all damages and their names, the same at each call."""
    generator = np.random.default_rng(SEED)
    for file in FILES:
        content = (sound / file).read_bytes()
        yield from _changed(file, content, generator)
        yield from _moved(file)
    yield "an extra file", lambda folder: (folder / "step-3/extra").touch()
    yield "an extra folder", lambda folder: (folder / "step-3/more").mkdir()
    yield "an empty folder", _empty
    yield "a file for the folder", _flatten
    yield "a link for the folder", _link_folder
    yield "the folder of an older step", lambda folder: _replace(folder, "step-2")
    yield "two folders that changed their names", _swap_folders
    yield (
        "the folder of another run",
        lambda folder: _replace(folder, "../other/step-3"),
    )


def _changed(
    file: str, content: bytes, generator: np.random.Generator
) -> Iterator[tuple[str, Damage]]:
    """Give damages to the bytes of one file."""
    size = len(content)
    lengths = {0, 1, 7, 8, 9, size // 4, size // 2, size - 2, size - 1}
    lengths |= set(range(PAGE, size, PAGE))
    lengths |= set(generator.integers(0, size, 12).tolist())
    variants = {f"cut to {length}": content[:length] for length in lengths}
    # The first bytes are those of a header; the others are drawn.
    places = [*range(16), *generator.integers(0, size, 160).tolist(), size - 1]
    for place in places:
        bit = int(generator.integers(8))
        flipped = bytes([content[place] ^ (1 << bit)])
        variants[f"bit {bit} of byte {place}"] = (
            content[:place] + flipped + content[place + 1 :]
        )
    for place in generator.integers(0, size, 12).tolist():
        variants[f"a byte put in at {place}"] = content[:place] + b"0" + content[place:]
        variants[f"a byte left out at {place}"] = content[:place] + content[place + 1 :]
    for start in range(0, size, PAGE):
        page = content[start : start + PAGE]
        rest = content[start + len(page) :]
        variants[f"zeros at {start}"] = content[:start] + bytes(len(page)) + rest
        variants[f"noise at {start}"] = (
            content[:start] + generator.bytes(len(page)) + rest
        )
        variants[f"page {start} twice"] = content[:start] + page + page + rest
        first = content[:PAGE]
        variants[f"page 0 in place of {start}"] = (
            content[:start] + first[: len(page)] + rest
        )
        variants[f"page {start} moved to the end"] = content[:start] + rest + page
    variants["a line end more"] = content + b"\n"
    variants["a page of zeros more"] = content + bytes(PAGE)
    variants["everything twice"] = content + content
    for name, variant in variants.items():
        if variant != content:
            yield f"{file}: {name}", _writing(file, variant)


def _moved(file: str) -> Iterator[tuple[str, Damage]]:
    """Give damages that leave every byte as it was, in another place."""
    yield f"{file}: missing", lambda folder: (folder / "step-3" / file).unlink()
    yield f"{file}: a folder", lambda folder: _make_folder(folder / "step-3" / file)
    yield f"{file}: a link to itself elsewhere", lambda folder: _link(folder, file)
    yield f"{file}: a pipe", lambda folder: _make_pipe(folder / "step-3" / file)
    for other in ("step-1", "step-2"):
        source = Path(other, file)
        yield f"{file}: that of {other}", _copying(source, file)
    yield f"{file}: that of another run", _copying(Path("../other/step-3", file), file)
    for other in FILES:
        if other != file:
            source = Path("step-3", other)
            yield f"{file}: the content of {other}", _copying(source, file)
    yield f"{file}: under another name", lambda folder: _rename(folder, file)
    yield f"all but {file}: those of step-2", lambda folder: _all_but(folder, file)


def _writing(file: str, content: bytes) -> Damage:
    def damage(folder: Path) -> None:
        (folder / "step-3" / file).write_bytes(content)

    return damage


def _copying(source: Path, file: str) -> Damage:
    def damage(folder: Path) -> None:
        shutil.copyfile(folder / source, folder / "step-3" / file)

    return damage


def _all_but(folder: Path, file: str) -> None:
    for other in FILES:
        if other != file:
            shutil.copyfile(folder / "step-2" / other, folder / "step-3" / other)


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(folder: Path, file: str) -> None:
    path = folder / "step-3" / file
    elsewhere = folder.parent / "elsewhere"
    shutil.copyfile(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


def _rename(folder: Path, file: str) -> None:
    (folder / "step-3" / file).rename(folder / "step-3" / f"{file}.bak")


def _empty(folder: Path) -> None:
    for file in FILES:
        (folder / "step-3" / file).unlink()


def _flatten(folder: Path) -> None:
    shutil.rmtree(folder / "step-3")
    (folder / "step-3").write_bytes(b"step-3")


def _link_folder(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere-3"
    shutil.rmtree(elsewhere, ignore_errors=True)
    shutil.move(folder / "step-3", elsewhere)
    (folder / "step-3").symlink_to(elsewhere)


def _replace(folder: Path, source: str) -> None:
    shutil.rmtree(folder / "step-3")
    shutil.copytree(folder / source, folder / "step-3")


def _swap_folders(folder: Path) -> None:
    (folder / "step-3").rename(folder / "third")
    (folder / "step-2").rename(folder / "step-3")
    (folder / "third").rename(folder / "step-2")
