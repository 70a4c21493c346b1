"""Values from a checkpoint, until the variables that they belong to are there.

An optimizer's slots are made by its first step, and a metric that no object owns is
known once a step was traced. What is never asked for again stays part of the state.
"""

from collections.abc import Iterable, Mapping
from typing import final

import keras

from ownloop.checkpoints import Entry
from ownloop.errors import CheckpointError
from ownloop.resume.paths import plain_path


@final
class Waiting:
    """Assigns values by name: all of those that are there, or none."""

    def __init__(self, entries: Mapping[str, Entry], *, origin: str = "") -> None:
        self.entries = dict(entries)
        self._origin = origin

    def assign(
        self, variables: Mapping[str, keras.Variable], complete: Mapping[str, int]
    ) -> None:
        """Gives waiting values to the variables of these names.

        Args:
            variables: By name, those that exist by now.
            complete: By object, how many variables the checkpoint has of it; more of
                them is a difference.

        Raises:
            CheckpointError: Shapes, dtypes, paths or numbers of variables differ. All
                differences are listed, and nothing was assigned.
        """
        chosen = {n: v for n, v in variables.items() if n in self.entries}
        differences = [
            line
            for name, variable in chosen.items()
            if (line := _difference(name, variable, self.entries[name]))
        ]
        for name in variables:
            thing, _, place = name.partition("/")
            if thing in complete and int(place) >= complete[thing]:
                differences.append(f"{name} ({variables[name].path}) is not in it")
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
    dtype = keras.backend.standardize_dtype(variable.dtype)
    now = f"{dtype}{list(variable.shape)} {plain_path(variable.path)}"
    return "" if was == now else f"{name} was {was} and is {now}"


def counts(names: Iterable[str]) -> dict[str, int]:
    """Counts the variables of each object by their names.

    Example:
        >>> counts(["model/0", "model/1", "found/0"])
        {'model': 2}
    """
    found: dict[str, int] = {}
    for name in names:
        thing, _, _ = name.partition("/")
        if thing not in ("found", "random", "saved"):
            found[thing] = found.get(thing, 0) + 1
    return found
