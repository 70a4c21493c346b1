"""What a process that runs a script once more is asked to do there: replay one step.

``ownloop replay`` hands it over in the environment, and gets the report in a file.
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
        folder: the run's folder.
        name: what is kept of the step there, such as "step-12".
        pass_name: the name of the step's pass.
        epoch: the step's epoch, from 1; None outside any epoch.
        report: the file for the report.

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
    epoch: int | None
    report: str

    @classmethod
    def of(cls, environment: dict[str, str] | None = None) -> "ReplayRequest | None":
        """Give what an environment asks for, or that of this process, if anything."""
        words = (os.environ if environment is None else environment).get(_VARIABLE)
        return None if words is None else cls(**json.loads(words))

    def environment(self) -> dict[str, str]:
        """Give what must be in a process's environment to ask it for this."""
        return {_VARIABLE: json.dumps(asdict(self))}

    def is_about(self, folder: Path) -> bool:
        """Whether a folder is that of the run."""
        return folder.resolve() == Path(self.folder).resolve()
