"""Values from a checkpoint, until the variables that they belong to are there.

An optimizer's slots are made by its first step, and a metric that no object owns is
known once a step was traced. What is never asked for again stays part of the state.
"""

from collections.abc import Collection, Mapping
from typing import final

import keras

from ownloop.checkpoints import Entry
from ownloop.errors import CheckpointError
from ownloop.resume.owned import held_dtype
from ownloop.resume.paths import plain_path


@final
class Waiting:
    """Assigns values by name: all of those that are there, or none."""

    def __init__(self, entries: Mapping[str, Entry], *, origin: str = "") -> None:
        self.entries = dict(entries)
        self._origin = origin

    def assign(
        self, variables: Mapping[str, keras.Variable], complete: Collection[str] = ()
    ) -> None:
        """Gives waiting values to the variables of these names.

        Args:
            variables: By name, those that exist by now.
            complete: The objects of which the checkpoint has all variables; one that
                has no value there is a difference.

        Raises:
            CheckpointError: Shapes, dtypes, paths or variables differ. All differences
                are listed, and nothing was assigned.
        """
        chosen = {n: v for n, v in variables.items() if n in self.entries}
        differences = [
            line
            for name, variable in chosen.items()
            if (line := _difference(name, variable, self.entries[name]))
        ]
        differences += [
            f"{name} ({variable.path}) is not in it"
            for name, variable in variables.items()
            if name.partition("/")[0] in complete and name not in chosen
        ]
        if differences:
            raise CheckpointError(
                f"{self._origin} does not fit, {len(differences)} variables differ:\n  "
                + "\n  ".join(differences)
                + "\nExpected the objects of the run that wrote it; nothing changed. "
                "Build them as then, or choose another folder."
            )
        for name, variable in chosen.items():
            variable.assign(self.entries.pop(name).array)


def _difference(name: str, variable: keras.Variable, entry: Entry) -> str:
    was = f"{entry.array.dtype.name}{list(entry.array.shape)} {plain_path(entry.path)}"
    now = f"{held_dtype(variable)}{list(variable.shape)} {plain_path(variable.path)}"
    return "" if was == now else f"{name} was {was} and is {now}"
