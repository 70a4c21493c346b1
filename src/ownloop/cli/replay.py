"""`ownloop replay`: a step that was not finite, run once more by its own script.

The script is code: it is run as it was, by this Python, up to the pass of the step.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ownloop.checkpoints import Store
from ownloop.cli.commands import ReplayStep
from ownloop.cli.stored import find_run
from ownloop.errors import FolderError
from ownloop.folder import Layout, ReplayRequest


def report(wish: ReplayStep) -> int:
    """Replays one step, prints what was not finite in it, and returns 0.

    Raises:
        OwnloopError: There is no run or no such step, or the script does not come to
            it.
    """
    layout = find_run(wish.folder)
    store = Store(layout.nonfinite, run=layout.read_identity())
    name = _choose(layout, store.names(), wish.step)
    meta = store.meta(name)
    words, directory = _command(layout, meta)
    print(
        f"Step {meta['step']:,} (epoch {meta['epoch']}, batch {meta['batch']:,} of the "
        f"pass {meta['pass']!r}): {meta['cause']}\n"
        f"Running {shlex.join(words)} up to that pass",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="ownloop-replay-") as scratch:
        written = Path(scratch, "report.txt")
        request = ReplayRequest(
            folder=str(layout.folder.resolve()),
            name=name,
            pass_name=meta["pass"],
            epoch=meta["epoch"],
            report=str(written),
        )
        environment = {"KERAS_BACKEND": meta["backend"], **request.environment()}
        code = subprocess.run(
            [sys.executable, *words], cwd=directory, env=os.environ | environment
        ).returncode
        if not written.exists():
            raise FolderError(
                f"{shlex.join(words)} ended with code {code}, and did not come to the "
                f"pass {meta['pass']!r} of a loop with the folder {layout.folder}. "
                "Expected the script that made this run. Run it by itself and see what "
                "it says, or call `loop.replay(step)` in it."
            )
        print(written.read_text(encoding="utf-8"))
    return 0


def _choose(layout: Layout, names: list[str], step: int | None) -> str:
    if not names:
        raise FolderError(
            f"{layout.folder} keeps no step to replay: none has made a loss or the "
            "state NaN or infinite. Expected one that was undone. To look at a step "
            "of your own, call `ownloop.guards.replay(step, batch, state)`."
        )
    if step is None:
        return names[-1]
    if f"step-{step}" not in names:
        raise FolderError(
            f"{layout.folder} keeps no step {step}. Expected one of: "
            f"{', '.join(names)}. Write, for example, "
            f"--step {names[-1].removeprefix('step-')}."
        )
    return f"step-{step}"


def _command(layout: Layout, meta: Mapping[str, Any]) -> tuple[list[str], Path]:
    """Returns the words that the script was called with, and in which directory.

    Only a script that lies outside the run's folder is run: what a folder brings with
    it is data.
    """
    script, directory = meta.get("script"), Path(str(meta.get("directory")))
    module, reason = meta.get("module"), None
    if not script:
        reason = "it is no file, as in a notebook"
    elif not directory.is_dir() or not Path(directory, script).is_file():
        reason = f"there is no {Path(directory, script)}"
    else:
        file, parts = Path(directory, str(script)).resolve(), str(module).split(".")
        # Python looks for a module in the directory first.
        files = [file, *([Path(directory, *parts).resolve()] if module else [])]
        if any(f.is_relative_to(layout.folder.resolve()) for f in files):
            reason = f"{script} lies in the run's own folder, and may be anybody's"
        elif module and list(file.with_suffix("").parts[-len(parts) :]) != parts:
            reason = f"{script} is not the file of the module {module}"
        elif any(file.is_relative_to(place) for place in _installed()):
            reason = f"{script} is Python's, or that of a package that is installed"
    if reason is not None:
        raise FolderError(
            f"The script that made {layout.folder} cannot be run again: {reason}. "
            "Expected a file, where it was then. Call `loop.replay(step)` where the "
            "loop is."
        )
    called = ["-m", str(module)] if module else [str(script)]
    return [*called, *map(str, meta.get("words", ()))], directory


def _installed() -> set[Path]:
    """Returns where Python's own and installed code lies, which can do anything."""
    words = ("stdlib", "platstdlib", "purelib", "platlib")
    return {Path(sysconfig.get_path(word)).resolve() for word in words}
