"""Files that were made to harm, by somebody who knows the format and seals them well.

The hostile folder is opened in a process of its own, where every file that is opened,
and every piece of code that is run or unpickled, is heard of by an audit hook.
"""

import hashlib
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from faults.samples import RUN, sample, scratch
from ownloop.checkpoints import Store
from ownloop.checkpoints.manifest import FILES, META, SIZE_LIMIT, STATE
from ownloop.errors import CheckpointError

NAME = "step-3"
MEMORY_LIMIT = 32 * SIZE_LIMIT
"""The most bytes that refusing may take: what the worst manifest takes as Python's own
values, which is 200 MB; next to none come near."""

WATCHED = ("open", "exec", "compile", "import", "pickle.find_class", "os.system")

Attack = Callable[[Path], None]


@final
@dataclass(frozen=True)
class HostileCount:
    """What came of the attacks.

    Attributes:
        cases: hostile folders or names.
        refused: those that were refused with a reason.
        accepted: the others, by name; there must be none.
        opened: paths outside the folder that were opened meanwhile.
        ran: events of code that was run, imported or unpickled meanwhile.
        peak: the most bytes that Python held for one of them.
        greedy: the one that took them.
    """

    cases: int
    refused: int
    accepted: tuple[str, ...]
    opened: tuple[str, ...]
    ran: tuple[str, ...]
    peak: int
    greedy: str


def count_hostile() -> HostileCount:
    """Open all hostile files in a process of its own, and give what it counted."""
    path = [str(Path(__file__).resolve().parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-m", "faults.hostile"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    counts = json.loads(done.stdout)
    for name in ("accepted", "opened", "ran"):
        counts[name] = tuple(counts[name])
    return HostileCount(**counts)


def attacks() -> Iterator[tuple[str, Attack]]:
    """Give all attacks and their names."""
    for file in FILES:
        yield f"a pickle as {file}", _unsealed(file, _pickle())
        yield f"an archive as {file}", _unsealed(file, b"PK\x03\x04" + bytes(60))
        yield f"a link to the password file as {file}", _linked(file, "/etc/passwd")
        yield f"a link that leads to itself as {file}", _linked(file, file)
        yield f"a device as {file}", _linked(file, "/dev/zero")
        yield f"a pipe as {file}", _piped(file)
    yield "a sealed pickle as the state", _sealed(state=_pickle())
    yield "a sealed pickle as the words", _sealed(meta=_pickle())
    for name, state in _states():
        yield f"state: {name}", _sealed(state=state)
    for name, meta in _metas():
        yield f"meta: {name}", _sealed(meta=meta)
    for name, change in _manifests():
        yield f"manifest: {name}", _forged(change)
    for name, text in _texts():
        yield f"manifest: {name}", _unsealed("MANIFEST.json", text)
    yield "a state of 2**40 bytes, which are not there", _sparse(STATE)
    yield "a manifest of 2**40 bytes, which are not there", _sparse("MANIFEST.json")
    yield "a link for the folder", _linked_folder


NAMES = (
    "",
    ".",
    "..",
    "/",
    "/etc",
    "../step-3",
    "step-3/../step-3",
    "step-3/",
    "step-3\0",
    "step-3\n",
    "step-03",
    "step-+3",
    "step-３",  # noqa: RUF001  a digit, for those who do not look closely
    "step-3.1",
    "step-3.0",
    "step--3",
    "step-" + "9" * 5000,
    "STEP-3",
    "C:step-3",
    "..\\step-3",
    ".tmp-step-3-1-0000000000000000",
    "broken-step-3",
    "checkpoints",
)
"""Names that are none of a checkpoint; the folder of each way out exists."""


def _states() -> Iterator[tuple[str, bytes]]:
    """Give safetensors files that are not what they say."""
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}

    def file(header: bytes, values: int = 32, length: int | None = None) -> bytes:
        size = len(header) if length is None else length
        return size.to_bytes(8, "little") + header + bytes(values)

    def dump(value: Any) -> bytes:
        return json.dumps(value).encode()

    yield "no bytes", b""
    yield "seven bytes", bytes(7)
    yield "a header of 2**63 bytes", file(b"{}", length=2**63)
    yield "a header of 100 MB that is not there", file(b"{}", length=10**8)
    yield "a header of no bytes", file(b"")
    yield "a header that is no JSON", file(b"{" * 40)
    yield "a header nested 100,000 deep", file(b"[" * 100_000)
    yield "a list for a header", file(b"[]")
    for name, offsets in {
        "negative offsets": [-8, 0],
        "offsets past the end": [0, 2**40],
        "offsets backwards": [8, 0],
        "offsets of 2**63": [2**63, 2**63 + 8],
        "offsets of other lengths": [0, 4],
        "offsets with a gap": [8, 16],
        "three offsets": [0, 4, 8],
        "offsets as words": ["0", "8"],
        "offsets as floats": [0.0, 8.0],
    }.items():
        yield name, file(dump({"model/0": one | {"data_offsets": offsets}}))
    yield "two arrays in one place", file(dump({"a": one, "b": one}))
    text = dump({"a": one})
    yield "a name twice", file(text[:-1] + b", " + text[1:])
    for shape in ([2**63], [2**32, 2**32], [-2], [2.0], ["2"], [True, 2], "2", None, 2):
        yield f"the shape {shape}", file(dump({"model/0": one | {"shape": shape}}))
    for dtype in ("F31", "object", "O", "", None, 7, "F32\0"):
        yield f"the dtype {dtype!r}", file(dump({"model/0": one | {"dtype": dtype}}))
    yield "metadata", file(dump({"__metadata__": {"run": "me"}, "model/0": one}))
    yield "metadata of lists", file(dump({"__metadata__": [1], "model/0": one}))


def _metas() -> Iterator[tuple[str, bytes]]:
    yield "no bytes", b""
    yield "a list", b"[]\n"
    yield "a number", b"7\n"
    yield "NaN", b'{"loss":NaN}\n'
    yield "infinity", b'{"loss":Infinity}\n'
    yield "a number beyond all floats", b'{"loss":1e999}\n'
    yield "an integer of 5,000 digits", b'{"step":' + b"9" * 5000 + b"}\n"
    yield "a key twice", b'{"a":1,"a":2}\n'
    yield "nested 100,000 deep", b"[" * 100_000 + b"]" * 100_000
    yield "nested 100,000 deep in dicts", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "UTF-16", '{"a":1}\n'.encode("utf-16")
    yield "bytes that are no text", b'{"a":"\xff\xfe"}\n'
    yield "a byte order mark", b'\xef\xbb\xbf{"a":1}\n'
    yield "two values", b'{"a":1}\n{"a":2}\n'
    yield "spaces", b'{"a": 1}\n'


def _manifests() -> Iterator[tuple[str, Callable[[dict[str, Any]], object]]]:
    """Give changes of a manifest, which is sealed again after them."""

    def put(value: Any, *path: str) -> Callable[[dict[str, Any]], object]:
        def change(body: dict[str, Any]) -> None:
            inner = body
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value

        return change

    def drop(key: str) -> Callable[[dict[str, Any]], object]:
        return lambda body: body.pop(key)

    def add_file(name: str) -> Callable[[dict[str, Any]], object]:
        seal = {"bytes": 8, "sha256": "0" * 64}
        return put(seal, "files", name)

    def move_file(name: str) -> Callable[[dict[str, Any]], object]:
        return lambda body: put(body["files"].pop(STATE), "files", name)(body)

    for key in (
        "format",
        "version",
        "run",
        "name",
        "step",
        "parent",
        "files",
        "tensors",
    ):
        yield f"no {key}", drop(key)
        for value in (None, 0, -1, 1.5, True, "x", [], {}, [[]], 2**63, 10**4000):
            # These are what they should be.
            if (key, value) in (("parent", None), ("parent", "x")) or (
                key == "version" and value is True
            ):
                continue
            if key == "parent" and isinstance(value, str | None):
                continue
            yield f"{key} {str(value)[:9]}", put(value, key)
    yield "a later version", put(2, "version")
    yield "a version as a word", put("1", "version")
    yield "a field more", put("me", "author")
    for name in ("../step-1/" + STATE, "/etc/passwd", "..", "", "C:\\x", "a\0b"):
        yield f"another file {name!r}", add_file(name)
        yield f"the state in {name!r}", move_file(name)
    yield "the manifest itself as a file", add_file("MANIFEST.json")
    for value in (-1, 2**63, 10**4000, 8.0, True, "8", None, []):
        yield f"a file of {str(value)[:9]} bytes", put(value, "files", STATE, "bytes")
    for value in ("", "0" * 64, "0" * 63, "g" * 64, None, 7, ["0"] * 64, "0" * 10**6):
        yield f"the hash {str(value)[:9]}", put(value, "files", META, "sha256")
    for key in ("dtype", "shape", "role", "path"):
        yield (
            f"a tensor with no {key}",
            lambda body, key=key: body["tensors"]["model/0"].pop(key),
        )
    yield "a tensor with more", put(1, "tensors", "model/0", "code")
    for value in ("O", "object", "F31", "", None, 7, ["F32"], {"F32": 1}, "I16"):
        yield f"the dtype {value!r}", put(value, "tensors", "model/0", "dtype")
    shapes = ([2**63], [2**62, 4], [2**62, 0], [-12], [12.0], ["12"], [True, 12], "12")
    for shape in (
        *shapes,
        None,
        12,
        [1] * 65,
        [1] * 10**5,
        [10**4000],
        [13],
        [],
        [[12]],
    ):
        name = f"the shape {str(shape)[:20]}"
        yield name, put(shape, "tensors", "model/0", "shape")
    huge = {"dtype": "F32", "shape": [2**62, 0], "role": "", "path": ""}
    yield "an empty array of a size beyond all", put(huge, "tensors", "model/0")
    for value in (None, 7, ["trainable"], {}):
        yield f"the role {value!r}", put(value, "tensors", "model/0", "role")
        yield f"the path {value!r}", put(value, "tensors", "model/0", "path")
    yield (
        "the name of safetensors' own",
        lambda body: put(body["tensors"].pop("model/0"), "tensors", "__metadata__")(
            body
        ),
    )
    yield "a tensor less", lambda body: body["tensors"].pop("model/0")
    spec = {"dtype": "F32", "shape": [0], "role": "", "path": ""}
    few = {str(number): spec for number in range(20_000)}
    yield "20,000 tensors that are not there", lambda body: body["tensors"].update(few)


def _texts() -> Iterator[tuple[str, bytes]]:
    """Give manifests that need no seal, since they should never get so far."""
    yield "no bytes", b""
    yield "a list", b"[]"
    yield "null", b"null"
    yield "NaN", b'{"format":NaN}'
    yield "UTF-16", '{"format":"ownloop checkpoint"}'.encode("utf-16")
    yield "nested as deep as it may be long", b"[" * SIZE_LIMIT
    yield (
        "as many lists as it may be long",
        b"[" + b"[]," * (SIZE_LIMIT // 3 - 2) + b"0]",
    )
    yield "longer than it may be", b" " * (SIZE_LIMIT + 1)
    spec = b'"%d":{"dtype":"F32","shape":[0],"role":"","path":""}'
    many = b",".join(spec % number for number in range(10**6))
    yield (
        "1,000,000 tensors",
        b'{"format":"ownloop checkpoint","tensors":{' + many + b"}}",
    )
    number = b"9" * 4000
    yield "long integers", b"[" + (number + b",") * (SIZE_LIMIT // 4001 - 1) + b"0]"
    yield "one integer", b"9" * SIZE_LIMIT


class _Harm:
    """Starts a process when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("exit 1",)


def _pickle() -> bytes:
    return pickle.dumps(_Harm())


def _unsealed(file: str, content: bytes) -> Attack:
    def attack(folder: Path) -> None:
        (folder / file).write_bytes(content)

    return attack


def _sealed(**contents: bytes) -> Attack:
    """Put content into files, and seal it in the manifest."""
    files = {"state": STATE, "meta": META}

    def attack(folder: Path) -> None:
        def seal(body: dict[str, Any]) -> None:
            for key, content in contents.items():
                (folder / files[key]).write_bytes(content)
                digest = hashlib.sha256(content).hexdigest()
                body["files"][files[key]] = {"bytes": len(content), "sha256": digest}

        _forged(seal)(folder)

    return attack


def _forged(change: Callable[[dict[str, Any]], object]) -> Attack:
    """Change the manifest, and give it the hash of itself that it must have."""

    def attack(folder: Path) -> None:
        path = folder / "MANIFEST.json"
        body = json.loads(path.read_text())
        del body["sha256"]
        sys.set_int_max_str_digits(0)
        change(body)
        text = json.dumps(body, separators=(",", ":")) + "\n"
        body["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        path.write_text(json.dumps(body, separators=(",", ":")) + "\n")
        sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)

    return attack


def _linked(file: str, target: str) -> Attack:
    def attack(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).symlink_to(target)

    return attack


def _piped(file: str) -> Attack:
    def attack(folder: Path) -> None:
        (folder / file).unlink()
        os.mkfifo(folder / file)

    return attack


def _sparse(file: str) -> Attack:
    def attack(folder: Path) -> None:
        os.truncate(folder / file, 2**40)

    return attack


def _linked_folder(folder: Path) -> None:
    folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere")


class _Ear:
    """Hears what this process opens and runs, while it listens."""

    def __init__(self, folder: Path) -> None:
        self.opened: list[str] = []
        self.ran: list[str] = []
        self._folder = folder
        self._listens = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._listens or event not in WATCHED:
            return
        if event != "open":
            self.ran.append(f"{event} {arguments[:1]!r:.80}")
        # A descriptor that is turned into a file was opened under its path before.
        elif isinstance(arguments[0], str) and not Path(arguments[0]).is_relative_to(
            self._folder
        ):
            self.opened.append(arguments[0])

    def listen(self, act: Callable[[], object]) -> str:
        """Do something, and give the error that it was refused with."""
        self._listens = True
        try:
            act()
        except CheckpointError as error:
            return str(error)
        finally:
            self._listens = False
        return ""


def _main() -> None:
    cases = refused = peak = 0
    accepted = []
    greedy = ""
    with scratch() as base:
        home = Path(base, "checkpoints")
        ear = _Ear(home)

        def refuse(name: str, act: Callable[[], object]) -> None:
            nonlocal cases, refused, peak, greedy
            cases += 1
            tracemalloc.start()
            message = ear.listen(act)
            _, held = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            peak, greedy = max((peak, greedy), (held, name))
            if message and len(message) < 2000:
                refused += 1
            else:
                accepted.append(name)

        store = Store(home, run=RUN)
        store.commit(sample(3))
        store.load(NAME)  # imports what it needs
        for name in NAMES:
            refuse(f"load {name!r:.40}", lambda name=name: store.load(name))
            refuse(f"set aside {name!r:.40}", lambda name=name: store.set_aside(name))
        for number, (name, attack) in enumerate(attacks()):
            home = Path(base, str(number), "checkpoints")
            ear._folder = home
            store = Store(home, run=RUN)
            store.commit(sample(3))
            attack(home / NAME)
            refuse(name, lambda store=store: store.load(NAME))
            if ear.listen(store.newest) == "":
                accepted.append(f"newest, {name}")
    count = HostileCount(
        cases,
        refused,
        tuple(accepted),
        tuple(ear.opened),
        tuple(ear.ran),
        peak,
        greedy,
    )
    print(json.dumps(asdict(count)))


if __name__ == "__main__":
    _main()
