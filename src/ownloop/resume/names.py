"""The names of a run's variables, which hold in another process, too.

Keras numbers its own names by what was made before (`dense_4`), so they are kept as
information only. An object's variables are named by the word that `Loop(model=...)`
gives it and their order in it; what tracing finds, by the order in which each step
uses it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import keras

from ownloop.errors import LoopError
from ownloop.resume import owned

_FOUND: Final = "found/"


@final
class Names:
    """Gives each variable of a run one name.

    `steps` says, for each step, the names of the variables that it uses, in order: by
    that another process knows what it finds. A step that the earlier process had not
    come to finds them by their paths.

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
        self._paths: dict[str, str] = {}
        self.steps: dict[str, list[str]] = {}

    def expect(
        self, steps: Mapping[str, Sequence[str]], paths: Mapping[str, str]
    ) -> None:
        """Takes over the names that an earlier process gave.

        Args:
            steps: As `steps` was there.
            paths: By name, the paths that Keras gave the variables there.
        """
        self._expected = {key: list(names) for key, names in steps.items()}
        self._paths = {n: path for n, path in paths.items() if n.startswith(_FOUND)}
        self.steps = {key: list(names) for key, names in steps.items()}

    def variables(self) -> dict[str, keras.Variable]:
        """Returns all variables that have a name, each once."""
        return owned.named(self._objects) | self._found

    def of(self, variables: Sequence[keras.Variable]) -> list[str]:
        """Returns the names of variables; those without one are left out."""
        known = self._known()
        return [known[id(v)] for v in variables if id(v) in known]

    def note(self, step: str, variables: Sequence[keras.Variable]) -> None:
        """Names what a step uses: as before, or by the next free number.

        Raises:
            LoopError: An earlier process found other variables in this step.
        """
        expected = self._expected.pop(step, None)
        if expected is None:
            known = self._known()
            names = [known.get(id(v)) or self._add(v) for v in variables]
            self.steps[step] = list(dict.fromkeys([*self.steps.get(step, ()), *names]))
        elif difference := self._difference(expected, variables):
            raise _other(step, difference)
        else:
            self._take(expected, variables)

    def forget_order(self, step: str) -> None:
        """Lets a step's variables be found by their paths: it finds them otherwise now.

        A step that is traced names its variables in another order than one that is not.
        """
        self._expected.pop(step, None)

    def note_reach(self, step: str, variables: Sequence[keras.Variable]) -> None:
        """Names what lies within a step's reach, before it was traced.

        So the variables of a pass that an earlier process has finished get their
        values, too. What looks different now is left for tracing to find.
        """
        key = f"{step}, within reach"
        expected = self._expected.pop(key, None)
        if expected is None:
            if key not in self.steps:
                self.note(key, variables)
        elif not self._difference(expected, variables):
            self._take(expected, variables)

    def _difference(
        self, expected: Sequence[str], variables: Sequence[keras.Variable]
    ) -> str:
        if len(expected) != len(variables):
            return f"{len(variables)} variables, and there were {len(expected)}"
        known = self._known()
        for name, variable in zip(expected, variables, strict=True):
            now = known.get(id(variable))
            if now != name and (now is not None or name in known.values()):
                return f"{now or 'another one'} ({variable.path}) in place of {name}"
        return ""

    def _take(
        self, expected: Sequence[str], variables: Sequence[keras.Variable]
    ) -> None:
        known = self._known()
        for name, variable in zip(expected, variables, strict=True):
            if id(variable) not in known:
                self._found[name] = variable

    def _known(self) -> dict[int, str]:
        return {id(v): name for name, v in self.variables().items()}

    def _add(self, variable: keras.Variable) -> str:
        """Names a variable as the earlier process did, or by a number of its own."""
        path = plain_path(variable.path)
        alike = [n for n, p in self._paths.items() if plain_path(p) == path]
        if len(alike) > 1:
            raise _unclear(variable, alike)
        if alike and alike[0] not in self._found:
            self._found[alike[0]] = variable
            return alike[0]
        number = 0
        while (name := f"{_FOUND}{number}") in self._found or name in self._paths:
            number += 1
        self._found[name] = variable
        return name


def plain_path(path: str) -> str:
    """Returns a Keras path without the numbers that depend on what was made before.

    Example:
        >>> plain_path("sequential_1/dense_4/kernel")
        'sequential/dense/kernel'
    """
    return re.sub(r"_\d+(?=[_/]|$)", "", path)


def _other(step: str, difference: str) -> LoopError:
    return LoopError(
        f"The step {step} uses other variables than in the run in this folder: "
        f"{difference}. Expected the same step over the same objects. Resume with the "
        "code that began the run, building models with `keras.Input` and optimizers "
        "with `optimizer.build(...)` before `loop.epochs` where steps are not "
        "compiled; or choose another folder."
    )


def _unclear(variable: keras.Variable, names: Sequence[str]) -> LoopError:
    return LoopError(
        f"The run in this folder had {len(names)} variables with the path "
        f"{variable.path!r}, and which of them this is cannot be known. Expected one. "
        "Name the objects that they belong to, as in `Loop(accuracy=accuracy)`."
    )
