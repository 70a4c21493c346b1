"""The names of a run's variables, which hold in another process, too.

Keras numbers its own names by what was made before (`dense_4`), so they are kept as
information only. An object's variables are named by the word that `Loop(model=...)`
gives it and their places in it; what tracing finds, by the order in which each program
of a step uses it: another model under an old name makes another program.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import keras

from ownloop.resume import complaints, owned
from ownloop.resume.paths import is_named_by_keras, may_be, plain_path

_FOUND: Final = "found/"

BETWEEN: Final = "/None/"
"""In the place of a call that was made between two rounds, and so in no epoch."""


@final
class Names:
    """Gives each variable of a run one name.

    `steps` says, for each step, the names of the variables that its programs use, in
    order, one list for each program that uses others: by that another process knows
    what it finds. A step that the earlier process had not come to finds them by their
    paths.

    Attributes:
        is_new_process: Whether Keras has begun to number objects since the names were
            given that `expect` takes over; a cell that is run once more goes on.
        emptied: Identities of the variables of metrics, which each pass starts from
            zero: where they cannot be told from others, nothing is lost.
        newcomers: Identities of variables that no earlier process can have named.

    Example:
        >>> weight, seen = keras.Variable(0.0), keras.Variable(0.0)
        >>> names = Names({"weight": weight})
        >>> names.note("train", [seen, weight])
        >>> sorted(names.variables()), names.steps
        (['found/0', 'weight/0'], {'train': [['found/0', 'weight/0']]})
    """

    def __init__(self, objects: Mapping[str, Any]) -> None:
        self._objects = objects
        self._found: dict[str, keras.Variable] = {}
        self._expected: dict[str, list[list[str]]] = {}
        self._recorded: dict[str, list[str]] = {}
        self._paths: dict[str, str] = {}
        self._met: set[str] = set()
        # By place, the identities of what was within reach; by these, the variables.
        self._reached: dict[str, tuple[int, ...]] = {}
        self._reaches: dict[tuple[int, ...], Sequence[keras.Variable]] = {}
        self._section = ""
        self.steps: dict[str, list[list[str]]] = {}
        self.is_new_process = True
        self.emptied: set[int] = set()
        self.newcomers: set[int] = set()

    def expect(
        self,
        steps: Mapping[str, Sequence[Sequence[str]]],
        calls: Sequence[Sequence[Sequence[str]]],
        paths: Mapping[str, str],
    ) -> None:
        """Takes over the names that an earlier process gave.

        Args:
            steps: As `steps` was there.
            calls: As `calls` was there.
            paths: By name, the paths that Keras gave the variables there.
        """
        self._expected = {key: list(map(list, orders)) for key, orders in steps.items()}
        self._recorded = {
            place: list(names) for names, places in calls for place in places
        }
        self._paths, self._met = dict(paths), set()
        self.steps = {key: list(map(list, orders)) for key, orders in steps.items()}

    @property
    def calls(self) -> list[list[list[str]]]:
        """What was within reach of calls of the epoch under way, and their places.

        Once for all that had the same: of an epoch with many calls, most have.
        """
        places: dict[tuple[int, ...], list[str]] = {}
        for place, reach in self._reached.items():
            places.setdefault(reach, []).append(place)
        return [[self.of(self._reaches[reach]), p] for reach, p in places.items()]

    def variables(self) -> dict[str, keras.Variable]:
        """Returns all variables that have a name, each once."""
        return owned.named(self._objects) | self._found

    def of(self, variables: Sequence[keras.Variable]) -> list[str]:
        """Returns the names of variables; those without one are left out."""
        known = self._known()
        return [known[id(v)] for v in variables if id(v) in known]

    def note(
        self, step: str, variables: Sequence[keras.Variable], *, is_traced: bool = True
    ) -> None:
        """Names what a program of a step uses: as before, or by the next free number.

        Args:
            step: The step, in words that are the same in every process.
            variables: What its program uses, in order.
            is_traced: Whether that is all; else it grows by what the step builds.

        Raises:
            LoopError: An earlier process found other variables in this step, or which
                of those it found these are cannot be known.
        """
        orders = self._unmet(step)
        known = self._known()
        fitting = [names for names in orders if self._fits(names, variables)]
        if all(id(v) in known for v in variables):
            pass  # By name, whatever other programs of this step there were.
        elif fitting:
            order = self._choose(fitting, variables)
            if order is not None:
                self._take(order, variables)
            elif any(
                id(v) not in known and id(v) not in self.emptied for v in variables
            ):
                raise complaints.several_sets(step, len(fitting))
        elif orders and not self._is_another(step, orders, variables):
            difference = self._difference(orders[-1], variables)
            raise complaints.other_variables(step, difference)
        known = self._known()
        names = [known.get(id(v)) or self._add(v) for v in variables]
        self._keep(step, names, is_grown=not is_traced)

    def forget_order(self, step: str) -> None:
        """Lets a step's variables be found by their paths: it finds them otherwise now.

        A step that is traced names its variables in another order than one that is not.
        """
        self._expected.pop(step, None)

    def note_reach(
        self, step: str, place: str, variables: Sequence[keras.Variable]
    ) -> None:
        """Names what lies within a call's reach, before its step was traced.

        So the variables of a pass that an earlier process has finished get their
        values, too, and those of one that it has begun are told from those of another
        program of the same step. What looks different now is left for tracing to find.

        Args:
            step: The step, in words that are the same in every process.
            place: Where in the run the call is.
            variables: What is within reach, in order.
        """
        key = f"{step}, within reach"
        if place in self._recorded:
            self._take_part(self._recorded.pop(place), variables)
        elif orders := self._unmet(key):
            fitting = [names for names in orders if self._fits(names, variables)]
            if (order := self._choose(fitting, variables)) is not None:
                self._take(order, variables)
        else:
            known = self._known()
            for variable in variables:
                if id(variable) not in known:
                    self._add(variable)
        reach = tuple(map(id, variables))
        self._reached[place], self._reaches[reach] = reach, variables
        if len(names := self.of(variables)) == len(variables):
            self._keep(key, names, is_grown=True)

    def leave_calls(self, section: str) -> None:
        """Forgets the calls of other epochs than the one under way.

        Args:
            section: What the places of its calls begin with.
        """
        if section == self._section:
            return
        self._section = section
        self._reached = {
            place: reach
            for place, reach in self._reached.items()
            if place.startswith(section) or BETWEEN in place
        }
        self._reaches = {
            reach: self._reaches[reach] for reach in self._reached.values()
        }

    def _unmet(self, step: str) -> list[list[str]]:
        """Returns the orders of an earlier process with variables not found by now."""
        if not (orders := self._expected.get(step)):
            return []
        known = set(self.variables())
        return [names for names in orders if not known.issuperset(names)]

    def _fits(self, names: Sequence[str], variables: Sequence[keras.Variable]) -> bool:
        return not self._difference(names, variables)

    def _difference(
        self, names: Sequence[str], variables: Sequence[keras.Variable]
    ) -> str:
        if len(names) != len(variables):
            return f"{len(variables)} variables, and there were {len(names)}"
        known = self._known()
        taken, is_same_script = set(known.values()), self._is_same_script()
        for name, variable in zip(names, variables, strict=True):
            now = known.get(id(variable))
            if now != name and (
                now is not None
                or name in taken
                or not self._may_be(name, variable, is_same_script)
            ):
                return f"{now or 'another one'} ({variable.path}) in place of {name}"
        return ""

    def _choose(
        self, orders: Sequence[list[str]], variables: Sequence[keras.Variable]
    ) -> list[str] | None:
        """Returns the one order that fits; of several, the one with the same paths."""
        paths = [variable.path for variable in variables]
        same = [o for o in orders if [self._paths.get(name) for name in o] == paths]
        found = same if len(orders) > 1 else orders
        return found[0] if len(found) == 1 else None

    def _is_another(
        self,
        step: str,
        orders: Sequence[list[str]],
        variables: Sequence[keras.Variable],
    ) -> bool:
        """Whether these belong to a program that the earlier process had not come to.

        It uses named variables that no other does, or none that the others may mean;
        or it uses all that those have found, and more.
        """
        known = self._known()
        if any(id(v) not in known and id(v) in self.newcomers for v in variables):
            return True
        mine = {known[id(v)] for v in variables if id(v) in known}
        if not any(mine.issubset(names) for names in orders):
            return True
        left = {name for names in orders for name in names} - set(known.values())
        new = [v for v in variables if id(v) not in known]
        is_same_script = self._is_same_script()
        here = {n for n in left for v in new if self._may_be(n, v, is_same_script)}
        if here:
            return here == left and len(new) > len(left)
        paths = {plain_path(self._paths.get(name, "")) for name in left}
        made_later = any(plain_path(v.path) in paths for v in new)
        return bool(new) and (step in self._met or made_later)

    def _may_be(
        self, name: str, variable: keras.Variable, is_same_script: bool
    ) -> bool:
        """Whether a variable may be the one that had this name."""
        if id(variable) in self.newcomers:
            return False
        earlier = self._paths.get(name, "")
        return may_be(variable.path, earlier, is_same_script=is_same_script)

    def _is_same_script(self) -> bool:
        """Whether Keras has numbered the loop's own objects as it did then."""
        return self.is_new_process and any(
            all(
                self._paths.get(name) == variable.path
                for name, variable in owned.named({word: thing}).items()
                if name in self._paths
            )
            for word, thing in self._objects.items()
            if is_named_by_keras(thing)
            and any(name.startswith(f"{word}/") for name in self._paths)
        )

    def _take(self, names: Sequence[str], variables: Sequence[keras.Variable]) -> None:
        known = self._known()
        for name, variable in zip(names, variables, strict=True):
            if id(variable) not in known:
                self._found[name] = variable

    def _take_part(
        self, names: Sequence[str], variables: Sequence[keras.Variable]
    ) -> None:
        """Finds variables among these names, some of which are not built by now."""
        known = self._known()
        taken, left = set(known.values()), iter(names)
        found = []
        for variable in variables:
            now, path = known.get(id(variable)), plain_path(variable.path)
            for name in left:
                is_new = now is not None or id(variable) in self.newcomers
                is_free = not is_new and name not in taken
                is_alike = is_free and plain_path(self._paths.get(name, "")) == path
                if now == name or is_alike:
                    found.append(name)
                    break
            else:
                return
        self._take(found, variables)

    def _keep(self, step: str, names: list[str], *, is_grown: bool = False) -> None:
        orders = self.steps.setdefault(step, [])
        self._met.add(step)
        if is_grown:
            # What is not built yet, here or in an earlier process, makes no other one.
            orders[:] = [o for o in orders if not set(o) < set(names)]
            if any(set(names) < set(o) for o in orders):
                return
        if names not in orders:
            orders.append(names)

    def _known(self) -> dict[int, str]:
        return {id(v): name for name, v in self.variables().items()}

    def _add(self, variable: keras.Variable) -> str:
        """Names a variable as the earlier process did, or by a number of its own."""
        is_same_script = self._is_same_script()
        alike = [
            name
            for name in self._paths
            if name.startswith(_FOUND)
            and name not in self._found
            and self._may_be(name, variable, is_same_script)
        ]
        if len(alike) > 1:
            same = [name for name in alike if self._paths[name] == variable.path]
            if len(same) != 1 and id(variable) not in self.emptied:
                raise complaints.several_variables(variable.path, len(alike))
            alike = same if len(same) == 1 else []
        number = 0
        while (name := f"{_FOUND}{number}") in self._found or name in self._paths:
            number += 1
        name = alike[0] if alike else name
        self._found[name] = variable
        return name
