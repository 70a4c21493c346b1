"""Where things are in a run's folder, and whose folder it is.

Owns the names, and `run.json`, which gives the run its identity: history and
checkpoints carry it, so that files of two runs cannot be mixed up. Knows nothing of
what the other files contain.
"""

import json
import os
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from ownloop.errors import FolderError

FORMAT: Final = "ownloop run"
VERSION: Final = 1


@final
@dataclass(frozen=True)
class Layout:
    """The names in a run's folder.

    Other files may lie there, too; nothing here touches them.

    Attributes:
        folder: The run's folder, which need not exist.

    Example:
        >>> layout = Layout(Path("run"))
        >>> layout.history.name
        'history.db'
        >>> layout.prepare()
        >>> layout.identify() == layout.identify() == layout.read_identity()
        True
    """

    folder: Path

    @property
    def lock(self) -> Path:
        """The file that stands for the right to write here."""
        return self.folder / "lock"

    @property
    def identity(self) -> Path:
        """The file with the run's identity and the version of the folder."""
        return self.folder / "run.json"

    @property
    def log(self) -> Path:
        """The text that the run wrote."""
        return self.folder / "log.txt"

    @property
    def history(self) -> Path:
        """The database with the run's history."""
        return self.folder / "history.db"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def nonfinite(self) -> Path:
        """The folder of what is kept of steps that were not finite."""
        return self.folder / "nonfinite"

    def prepare(self) -> None:
        """Makes the folder where it is missing, and checks that a run can live in it.

        This is what can be known before the first step, and before the lock.

        Raises:
            FolderError: The folder or one above it is a file, nothing can be written
                there, or one of our names is taken by a thing of another kind.
        """
        try:
            above = [self.folder, *self.folder.parents]
            missing = [path for path in above if not path.exists()]
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in missing or [self.folder]:
                # Also where it was there: the process that made it may have been killed
                # before it was durable.
                _sync_folder(path.parent)
            # Permissions alone do not tell: the disk may be mounted for reading only.
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise FolderError(
                f"{self.folder} cannot be the folder of a run: "
                f"{self._reason(error)}. Expected a folder in which we may make "
                "files, or a name that is free in a folder that exists. Choose "
                "another, or see to its permissions."
            ) from error
        for path in (self.lock, self.identity, self.log, self.history):
            if path.is_dir():
                raise _wrong_kind(path, found="folder", expected="file")
        for path in (self.checkpoints, self.nonfinite):
            if path.exists() and not path.is_dir():
                raise _wrong_kind(path, found="file", expected="folder")

    def identify(self) -> str:
        """Returns the run's identity, and makes one for a folder that has none.

        Call it with the lock held.

        Raises:
            FolderError: `run.json` is not ours, or is missing where other files of
                a run are.
        """
        if not self.identity.exists():
            ours = (self.log, self.history, self.checkpoints, self.nonfinite)
            taken = [path.name for path in ours if path.exists()]
            if taken:
                raise FolderError(
                    f"{self.folder} has {', '.join(taken)} and no "
                    f"{self.identity.name}, which would say whose they are. Expected "
                    "a whole folder of a run, or one in which these names are free. "
                    "Put the file back, move the others away, or choose another "
                    "folder."
                )
            # No name from the time of day: two runs may begin together.
            content = {"format": FORMAT, "version": VERSION, "run": uuid.uuid4().hex}
            self._write(json.dumps(content).encode() + b"\n")
            return self.read_identity()
        run = self.read_identity()
        self._keep_identity()
        return run

    def read_identity(self) -> str:
        """Returns the run's identity, and writes nothing.

        Raises:
            FolderError: There is no `run.json`, or it is not ours.
        """
        path = self.identity
        try:
            content = json.loads(path.read_bytes())
            found, version = content["format"], content["version"]
            run = content["run"]
        except FileNotFoundError:
            raise FolderError(
                f"{self.folder} is no folder of a run: it has no {path.name}. "
                "Expected a folder in which a run has been. Give the right one."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _foreign(path, f"it cannot be read ({error})") from error
        if found != FORMAT:
            raise _foreign(path, f"its format is {found!r}")
        if version != VERSION:
            raise FolderError(
                f"{path} is in format version {version}. Expected version {VERSION}, "
                "which is all that this ownloop knows. Use the ownloop that wrote it, "
                "or choose another folder."
            )
        if not isinstance(run, str):
            raise _foreign(path, f"its run is {run!r}")
        return run

    def _write(self, content: bytes) -> None:
        """Writes run.json so that it is there whole or not at all, whatever happens."""
        unfinished = self.folder / f".{self.identity.name}.new"
        try:
            with open(unfinished, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, self.identity)
            _sync_folder(self.folder)
        except OSError as error:
            raise FolderError(
                f"{self.identity} cannot be written: {error.strerror}. Expected a "
                "folder in which we may make files. Make room on the disk, or choose "
                "another folder."
            ) from error

    def _keep_identity(self) -> None:
        """Makes run.json durable, since the process that wrote it may have been killed.

        Otherwise a power cut might take its name away and leave those of later files.
        """
        try:
            _sync_folder(self.folder)
        except OSError as error:
            raise FolderError(
                f"{self.folder} cannot be written: {error.strerror}. Expected a disk "
                "that works. Look at it, or choose another folder."
            ) from error

    def _reason(self, error: OSError) -> str:
        if self.folder.exists() and not self.folder.is_dir():
            return "it is a file"
        if not self.folder.parent.is_dir():
            return f"{self.folder.parent} is no folder that exists"
        return error.strerror or str(error)


def _sync_folder(folder: Path) -> None:
    """Makes a new name in a folder survive a power cut, where the system can do so."""
    if os.name == "nt":  # Windows opens no folders
        return
    try:
        file = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one may go through the folder, and not read it
        return
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _wrong_kind(path: Path, *, found: str, expected: str) -> FolderError:
    return FolderError(
        f"{path} is a {found}. Expected a {expected}, or nothing of that name. Move it "
        "away, or choose another folder."
    )


def _foreign(path: Path, why: str) -> FolderError:
    return FolderError(
        f"{path} is not ours: {why}. Expected what ownloop wrote there. Put it back, "
        "move it away, or choose another folder."
    )
