"""The names of a run's variables, which hold in another process, too.

Keras numbers its own names by what was made before (`dense_4`), so they are kept as
information only. An object's variables are named by the word that `Loop(model=...)`
gives it and their order in it; what tracing finds, by the order in which each step
uses it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, final

import keras

from ownloop.errors import LoopError
from ownloop.resume.owned import variables_of


@final
class Names:
    """Gives each variable of a run one name.

    `steps` says, for each step and shape of batch, the names of the variables that it
    uses, in order: by that another process knows what it finds.

    Example:
        >>> weight, seen = keras.Variable(0.0), keras.Variable(0.0)
        >>> names = Names({"weight": weight})
        >>> names.note("train", [seen, weight])
        >>> sorted(names.variables()), names.steps
        (['found/0', 'weight/0'], {'train': ['found/0', 'weight/0']})
    """

    def __init__(self, objects: Mapping[str, Any]) -> None:
        self._objects = objects
        self._found: dict[str, keras.Variable] = {}
        self._expected: dict[str, list[str]] = {}
        self.steps: dict[str, list[str]] = {}

    def expect(self, steps: Mapping[str, Sequence[str]]) -> None:
        """Takes over the names that an earlier process gave."""
        self._expected = {key: list(names) for key, names in steps.items()}
        self.steps = {key: list(names) for key, names in steps.items()}

    def variables(self) -> dict[str, keras.Variable]:
        """Returns all variables that have a name, each once."""
        return self._owned() | self._found

    def of(self, variables: Sequence[keras.Variable]) -> list[str]:
        """Returns the names of variables; those without one are left out."""
        known = {id(v): name for name, v in self.variables().items()}
        return [known[id(v)] for v in variables if id(v) in known]

    def note(self, key: str, variables: Sequence[keras.Variable]) -> None:
        """Names what a step uses: as before, or by the next free number.

        Raises:
            LoopError: An earlier process found other variables in this step.
        """
        known = {id(v): name for name, v in self.variables().items()}
        expected = self._expected.pop(key, None)
        if expected is None:
            names = [known.get(id(v)) or self._add(v) for v in variables]
            self.steps[key] = list(dict.fromkeys(names))
            return
        if len(expected) != len(variables):
            raise _other(key, f"{len(expected)} variables", f"{len(variables)}")
        for name, variable in zip(expected, variables, strict=True):
            now = known.get(id(variable))
            if now is None and name not in self.variables():
                self._found[name] = variable
            elif now != name:
                raise _other(key, name, f"{now or 'another one'} ({variable.path})")

    def _owned(self) -> dict[str, keras.Variable]:
        owned = {
            id(variable): (f"{name}/{i}", variable)
            for name, thing in reversed(self._objects.items())
            for i, variable in reversed(list(enumerate(variables_of(thing))))
        }
        return dict(reversed(owned.values()))

    def _add(self, variable: keras.Variable) -> str:
        taken = {*self._found, *(n for names in self.steps.values() for n in names)}
        number = len(self._found)
        while f"found/{number}" in taken:
            number += 1
        self._found[f"found/{number}"] = variable
        return f"found/{number}"


def plain_path(path: str) -> str:
    """Returns a Keras path without the numbers that depend on what was made before.

    Example:
        >>> plain_path("sequential_1/dense_4/kernel")
        'sequential/dense/kernel'
    """
    return re.sub(r"_\d+(?=[_/]|$)", "", path)


def _other(key: str, before: str, now: str) -> LoopError:
    return LoopError(
        f"The step of {key} uses {now} where the run in this folder had {before}. "
        "Expected the same step over the same objects. Resume with the code that began "
        "the run, building models with `keras.Input` and optimizers with "
        "`optimizer.build(...)` before `loop.epochs` where steps are not compiled; or "
        "choose another folder."
    )
