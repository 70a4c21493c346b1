"""The job as a plain script, which is what gets signals from outside.

    python -m faults.plain FOLDER '{"save": "epochs"}'

It says at which step it stands, a line each time.
"""

import json
import sys
from pathlib import Path

from faults.job import play
from faults.position import Position


def _say(step: int) -> None:
    print("step", step, flush=True)


if __name__ == "__main__":
    folder, settings = sys.argv[1:]
    play(Path(folder), **json.loads(settings), observers=[Position(_say)])
