"""A whole run on a file system that is really full, and then has room again.

    python -m faults.full_run BACKEND HOME EACH

mounts small ones, of more and more bytes, where nobody else sees them, and of all sizes
each so-many-th; the last line says what came of it, as JSON.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from faults.broken import END, BrokenCount, Point, count_of, look, whole_run
from faults.server import Server

_SIZES = range(16 * 2**10, 337 * 2**10, 2**13)
_ROOM = 2**24
_CANNOT_MOUNT = 77


def count_full(backend: str, home: Path, *, each: int) -> BrokenCount | None:
    """Fill file systems of many sizes by a run; None where one may not mount them."""
    if shutil.which("unshare") is None:
        return None
    path = [str(Path(__file__).resolve().parents[1]), *sys.path]
    own = ["unshare", "--map-root-user", "--mount"]
    done = subprocess.run(
        [*own, sys.executable, "-m", "faults.full_run", backend, str(home), str(each)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    # Of unshare itself, which says no more.
    if done.returncode == _CANNOT_MOUNT or (done.returncode == 1 and not done.stdout):
        return None
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    told = json.loads(done.stdout.splitlines()[-1])
    return BrokenCount(**told | {n: tuple(told[n]) for n in ("wrong", "stuck")})


def _main(backend: str, home: str, each: str) -> None:
    healthy = {"error": "ENOSPC", "at": 0, "sticky": False}
    with tempfile.TemporaryDirectory() as base, Server(backend, Path(home)) as server:
        print(f"mounting in {base}", flush=True)
        wholes = {END: whole_run(server, Path(base), END)}
        place = Path(base, "full")
        place.mkdir()
        found = []
        for size in _SIZES[:: int(each)]:
            _mount(place, f"size={size}")
            try:
                point = Point({**healthy, "room": size})

                def make_room() -> None:
                    _mount(place, f"remount,size={_ROOM}")

                found.append(look(server, place / "run", point, wholes, make_room))
            finally:
                subprocess.run(["umount", str(place)], check=True)
        calls = (wholes[END].counts or {})["call"]
        print(json.dumps(asdict(count_of(calls, found))))


def _mount(place: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    if subprocess.run(command, check=False).returncode != 0:
        sys.exit(_CANNOT_MOUNT)


if __name__ == "__main__":
    _main(*sys.argv[1:])
