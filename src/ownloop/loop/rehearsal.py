"""A step that is not traced, run once for what it builds, and undone.

A step that is traced has its variables before it runs. One that runs as plain Python
makes some on the way, and uses them at once: what an earlier process has left for them
must be there before.
"""

import keras

from ownloop import backends
from ownloop.backends.births import Births
from ownloop.backends.contract import AbstractProgram, Placed, Snapshot
from ownloop.data import Segment
from ownloop.loop.interrupts import held
from ownloop.loop.pieces import cut
from ownloop.resume import randomness


def rehearse(
    program: AbstractProgram,
    segment: Segment,
    data: Placed | None,
    variables: tuple[keras.Variable, ...],
) -> None:
    """Runs a step on the first batch of a segment; only what it builds is left.

    That has its first values, and all else the values from before, random generators
    included. What the step does besides, such as printing, it does once more later.

    Args:
        program: Of the step.
        segment: Its batches come next.
        data: Whole arrays on the device, where the segment has row numbers.
        variables: What is there already.
    """
    generators = randomness.read()
    before = backends.current().read(variables)
    births = Births()
    try:
        with births:
            program.run(iter([cut(segment, slice(1))]), data)
    finally:
        with held():
            first = Snapshot(births.values, before.random)
            backends.current().write(births.variables, first)
            backends.current().write(variables, before)
            randomness.write(generators)
