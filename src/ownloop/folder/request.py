"""The request to a process that runs a script once more: to replay one step there.

`ownloop replay` hands it over in the environment, and reads the report from a file.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, final

_VARIABLE: Final = "OWNLOOP_REPLAY"


@final
@dataclass(frozen=True)
class ReplayRequest:
    """Which step to replay, and where to write what was seen.

    Attributes:
        folder: The run's folder.
        name: The name of what is kept of the step there, such as `"step-12"`.
        pass_name: The name of the step's pass.
        epoch: The step's epoch, from 1.
        report: The file for the report.

    Example:
        >>> request = ReplayRequest("runs/a", "step-12", "train", 1, "report.txt")
        >>> ReplayRequest.of(request.environment()) == request
        True
        >>> request.is_about(Path("runs/b"))
        False
    """

    folder: str
    name: str
    pass_name: str
    epoch: int
    report: str

    @classmethod
    def of(cls, environment: dict[str, str] | None = None) -> "ReplayRequest | None":
        """Returns the request in an environment, by default this process's; or None."""
        words = (os.environ if environment is None else environment).get(_VARIABLE)
        return None if words is None else cls(**json.loads(words))

    def environment(self) -> dict[str, str]:
        """Returns what must be in a process's environment to hand it the request."""
        return {_VARIABLE: json.dumps(asdict(self))}

    def is_about(self, folder: Path) -> bool:
        """Whether a folder is that of the run."""
        return folder.resolve() == Path(self.folder).resolve()
