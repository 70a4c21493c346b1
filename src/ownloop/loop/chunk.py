"""What the loop hands to the user's code between two stretches of compiled steps."""

from dataclasses import dataclass, field
from typing import final

from ownloop.loop.values import Values


@final
@dataclass(frozen=True)
class Chunk:
    """Some steps that ran as one, and what they logged.

    Attributes:
        step: Steps done in the run, this chunk included.
        batch: Batches done in this pass, this chunk included.
        last: The last batch's values; a metric's running value.
        mean: Over the pass so far: scalars weighted by the examples in each batch; a
            metric's running value. At the pass's end, what the history records.
        steps: NumPy arrays with one entry per step of this chunk.

    Example:
        >>> last, mean = Values({"loss": 0.25}), Values({"loss": 0.5})
        >>> chunk = Chunk(step=300, batch=300, last=last, mean=mean, steps=Values({}))
        >>> f"step {chunk.step}: loss {chunk.last.loss:.4f}, mean {chunk.mean.loss:.4f}"
        'step 300: loss 0.2500, mean 0.5000'
    """

    step: int
    batch: int
    last: Values
    mean: Values
    steps: Values = field(repr=False)
