"""Values from a checkpoint, until the variables that they belong to are there.

An optimizer's slots are made by its first step, and a metric that no object owns is
known once a step was traced. What is never asked for again stays part of the state.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, final

import keras

from ownloop.checkpoints import Entry
from ownloop.errors import CheckpointError
from ownloop.resume.owned import held_dtype
from ownloop.resume.parts import is_rate
from ownloop.resume.paths import plain_path

_SCHEDULE: Final = (
    ": the run had a schedule by then; set it on the script's way back, too, as with "
    "`if epoch.number >= 2:`"
)


@final
class Waiting:
    """Assigns values by name: all of those that are there, or none.

    Args:
        entries: The values, by the names that their variables had.
        origin: Where they are from, for messages.
        holders: By name, the attributes that held the parts of objects there.
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        *,
        origin: str = "",
        holders: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.entries = dict(entries)
        self._origin = origin
        self._holders = dict(holders or {})
        # What has its value. As long as others of its object wait it may not move.
        self._given: dict[str, keras.Variable] = {}

    def assign(
        self,
        variables: Mapping[str, keras.Variable],
        complete: Collection[str] = (),
        holders: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Gives waiting values to the variables of these names.

        Args:
            variables: By name, those that exist by now.
            complete: The objects of which the checkpoint has all variables; one that
                has no value there is a difference.
            holders: By name, the attributes that hold the parts of objects now.

        Raises:
            CheckpointError: Shapes, dtypes, paths, places or variables differ. All
                differences are listed, and nothing was assigned.
        """
        chosen = {n: v for n, v in variables.items() if n in self.entries}
        differences = [
            line
            for name, variable in chosen.items()
            if (line := _difference(name, variable, self.entries[name]))
        ]
        differences += self._moved(variables)
        differences += self._held_otherwise(chosen, holders or {})
        differences += [
            f"{name} ({variable.path}) is not in it{_SCHEDULE if is_rate(name) else ''}"
            for name, variable in variables.items()
            if _word(name) in complete and name not in chosen
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
            self._given[name] = variable
        unsure = self._unsure()
        self._given = {n: v for n, v in self._given.items() if _word(n) in unsure}

    def _unsure(self) -> set[str]:
        """Returns the words of the objects that have not got all of their values."""
        return set(map(_word, self.entries))

    def _moved(self, variables: Mapping[str, keras.Variable]) -> Iterator[str]:
        """Says what has another name than when it got its value.

        It has the value of another one then. An object that has all of its values may
        be changed by the script, as it likes.
        """
        names = {id(variable): name for name, variable in variables.items()}
        unsure = self._unsure()
        for name, variable in self._given.items():
            now = names.get(id(variable))
            if now not in (None, name) and _word(name) in unsure:
                yield f"{name} ({variable.path}) got its value as that, and is {now}"

    def _held_otherwise(
        self, names: Collection[str], holders: Mapping[str, Sequence[str]]
    ) -> Iterator[str]:
        """Says which parts are held by none of the attributes that held them.

        What a script makes in another order than in the run has another one's place.
        """
        within = {n[:i] for n in names for i, c in enumerate(n) if c == "/"}
        for name in sorted({*names, *within}):
            was, now = self._holders.get(name, []), holders.get(name, [])
            if was and now and set(was).isdisjoint(now):
                yield f"{name} was held by {_words(was)} and is by {_words(now)}"


def _word(name: str) -> str:
    """Returns the word of the object that a variable is in."""
    return name.partition("/")[0]


def _words(attributes: Sequence[str]) -> str:
    return " and ".join(f"`{attribute}`" for attribute in attributes)


def _difference(name: str, variable: keras.Variable, entry: Entry) -> str:
    was = f"{entry.array.dtype.name}{list(entry.array.shape)} {plain_path(entry.path)}"
    now = f"{held_dtype(variable)}{list(variable.shape)} {plain_path(variable.path)}"
    return "" if was == now else f"{name} was {was} and is {now}"
