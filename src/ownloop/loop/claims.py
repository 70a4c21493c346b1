"""What one pass knows of variables: those the user named, and the names of all."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import final

import keras

from ownloop.backends.contract import AbstractProgram
from ownloop.data import Signature
from ownloop.loop.home import AbstractHome
from ownloop.step import Surroundings


@final
class Claims:
    """Lets a step's variables have the values that an earlier process left for them.

    Args:
        home: Where the run is kept.
        step: The pass and the step, in words that are the same in every process.
        owned: Gives the variables that the user named, for steps that are not traced.
    """

    def __init__(
        self,
        home: AbstractHome,
        step: str,
        owned: Callable[[], Sequence[keras.Variable]],
    ) -> None:
        self.owned = owned
        self._home = home
        self._step = step

    def claim(
        self,
        signature: Signature | None,
        program: AbstractProgram,
        variables: Sequence[keras.Variable],
        seen: Surroundings,
    ) -> None:
        """Takes note of the variables of a program, before it runs."""
        self._home.claim(self._step, f"{signature}", program, variables, seen)

    def is_to_build(self, variables: Sequence[keras.Variable]) -> bool:
        """Whether values wait for what the step may build beside these variables."""
        return self._home.is_to_build(self._step, variables)

    def untouched(self) -> AbstractContextManager[None]:
        """Puts back, behind its block, what a step may change beside variables."""
        return self._home.untouched()

    def names(self, variables: Sequence[keras.Variable]) -> list[str]:
        """Returns the names of variables that have one."""
        return self._home.names(variables)
