"""A disk that is really full: a small file system, and a limit on the size of files.

    python -m faults.full_disk FOLDER [LIMIT]

commits a small checkpoint, one that does not fit, and a small one again; the last line
says what came of it, as JSON.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from faults.samples import RUN, bits, sample, scratch
from ownloop.checkpoints import Store
from ownloop.errors import CheckpointError

ROOM = 512 * 2**10
TOO_MANY = 2**18  # float32 values: a mebibyte


@final
@dataclass(frozen=True)
class FullDisk:
    """What a full disk did.

    Attributes:
        message: what the user is told.
        kept: whether the earlier checkpoint is the newest, and whole.
        left: what is in the folder after the failure.
        went_on: whether a checkpoint that fits could be saved after it.
    """

    message: str
    kept: bool
    left: tuple[str, ...]
    went_on: bool


def fill_a_file_system() -> FullDisk | None:
    """Fill a small one, mounted where nobody else sees it; None where one may not."""
    if shutil.which("unshare") is None:
        return None
    with scratch() as base:
        mount = f"mount -t tmpfs -o size={ROOM} none {base}"
        inner = f"{mount} || exit 77; exec {sys.executable} -m faults.full_disk {base}"
        return _run(["unshare", "--map-root-user", "--mount", "sh", "-c", inner])


def limit_the_size_of_files() -> FullDisk:
    """Let the system refuse to write beyond a size."""
    with scratch() as base:
        command = [sys.executable, "-m", "faults.full_disk", base, str(ROOM)]
        result = _run(command)
    assert result is not None
    return result


def _run(command: list[str]) -> FullDisk | None:
    path = [str(Path(__file__).resolve().parents[1]), *sys.path]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "unshare" in command[0] and done.returncode in (1, 77) and not done.stdout:
        return None
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    result = json.loads(done.stdout)
    return FullDisk(**result | {"left": tuple(result["left"])})


def _main(folder: str, *limit: str) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), int(limit[0])))
    store = Store(Path(folder, "checkpoints"), run=RUN)
    store.commit(sample(1))
    message = ""
    try:
        store.commit(sample(2, values=TOO_MANY))
    except CheckpointError as error:
        message = str(error)
    kept = bits(store.newest().checkpoint) == bits(sample(1))
    left = tuple(os.listdir(Path(folder, "checkpoints")))
    went_on = store.commit(sample(3)) == "step-3" == store.newest().name
    print(json.dumps(asdict(FullDisk(message, kept, left, went_on))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
