"""A step that went wrong, replayed within a script that is run once more.

The script builds its model, and runs as far as the step's pass without its folder.
There the state, the batch and the generators that were kept take the place of what the
script has, the step is run eagerly, and the process ends.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ownloop.checkpoints import Store
from ownloop.folder import Layout, ReplayRequest
from ownloop.guards import replay
from ownloop.loop.bisection import Stretch
from ownloop.loop.evidence_file import from_checkpoint
from ownloop.loop.shelf import Step


def replayer(
    request: ReplayRequest, step: Step, pass_name: str
) -> Callable[[Stretch], NoReturn] | None:
    """Returns what replays the step, given some steps of its pass that have run.

    None where this pass is not the step's.
    """
    if pass_name != request.pass_name:
        return None

    def run(stretch: Stretch) -> NoReturn:
        layout = Layout(Path(request.folder))
        store = Store(layout.nonfinite, run=layout.read_identity())
        # The program has its variables in the order in which they were kept, and the
        # script's own batches are made up as the bad one is.
        (first,) = stretch.pieces.between(0, 1)
        structure = first.signature and first.signature.structure
        evidence = from_checkpoint(store.load(request.name), structure)
        pairs = evidence.over(stretch.variables)
        report = replay(step, evidence.batch, pairs, evidence.random)
        Path(request.report).write_text(str(report), encoding="utf-8")
        raise SystemExit(0)

    return run
