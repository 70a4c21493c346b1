"""What a replay has found: the values that were not finite, in order."""

import enum
from dataclasses import dataclass
from typing import final

from ownloop.guards.host import Flaws


class Stage(enum.IntEnum):
    """Where in a step a value belongs; a step goes through these in order."""

    BATCH = 0
    STATE = 1
    OUTPUT = 2
    LOGGED = 3
    GRADIENT = 4
    VARIABLE = 5


_WORDS = {
    Stage.BATCH: "the batch{}",
    Stage.STATE: "the variable {} before the step",
    Stage.OUTPUT: "the output of {}",
    Stage.LOGGED: "the logged {!r}",
    Stage.GRADIENT: "the gradient for {}",
    Stage.VARIABLE: "the new value of {}",
}


@final
@dataclass(frozen=True)
class Finding:
    """One value that is not finite.

    Attributes:
        stage: What kind of value it is.
        name: Which one: a layer with its class, a variable's path, a logged name.
        flaws: How much of it is NaN or infinite.
        inputs: For a layer's output, what it was made of, in words.

    Example:
        >>> print(Finding(Stage.OUTPUT, "dense (Dense)", Flaws(2, 0, 8)))
        the output of dense (Dense) has 2 nan among 8 values
        >>> print(Finding(Stage.LOGGED, "loss", Flaws(1, 0, 1, "nan")))
        the logged 'loss' is nan
    """

    stage: Stage
    name: str
    flaws: Flaws
    inputs: str = ""

    def __str__(self) -> str:
        verb = "is" if self.flaws.only else "has"
        what = _WORDS[self.stage].format(self.name)
        return f"{what} {verb} {self.flaws}{self.inputs and ', ' + self.inputs}"


@final
@dataclass(frozen=True)
class Report:
    """The values of one step that were not finite, in the order of the step.

    That is: the batch, the variables before the step, the outputs of layers, what is
    logged, the gradients, and the new values of variables.

    Example:
        >>> loss = Finding(Stage.LOGGED, "loss", Flaws(0, 1, 1, "inf"))
        >>> print(Report((loss,)))
        First not finite: the logged 'loss' is inf.
        >>> print(Report(()).first)
        None
    """

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding | None:
        """The first of them; None where everything was finite."""
        return self.findings[0] if self.findings else None

    def __str__(self) -> str:
        if not self.findings:
            return (
                "Every value is finite when the step is run eagerly. A compiled step "
                "rounds differently; look at values that are nearly too large, or "
                "nearly zero where something is divided by them."
            )
        first, *rest = self.findings
        lines = [f"First not finite: {first}."]
        lines += [f"    then {finding}" for finding in rest]
        return "\n".join(lines)
