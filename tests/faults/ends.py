"""Whether two runs came to the same end, whichever of their saves was the last."""

import json
import re
from collections.abc import Mapping
from typing import Any

from faults.attempts import Outcome

_NOT_ALWAYS = ("test: ", "refused: ")
"""How the calls begin that a job makes after its rounds, or that do not come to a step.

The latter are forgotten, but where the run was saved as they began.
"""

_REACH = ", within reach"
_PERHAPS_SLOTS = ("optimizer/", "found/")
_PLACE = "checkpoint meta place"


def apart(expected: Outcome, found: Outcome) -> list[str]:
    """Name the items in which two runs differ that came to their ends.

    The newest checkpoint counts in full: it holds the optimizer's moments and averages
    of the end, since after the last round nothing is trained. Only seven things may
    differ in it, which say how the run came there and not where it is: what was within
    reach of the calls that it had made by then, which another process needs in the
    middle of them, and the shapes that models were first called with. A run that was
    killed between the end of its last epoch and that of its round need not save again.
    Where the clock says when, the validation after the round is saved, too, and what
    this call depends on is in the state then. And an optimizer has its slots within
    a step's reach, or not yet, where a process goes on between two passes. Data that
    were taken for the same are so from the next epoch on. What might be the script's
    own choice, as of data that a later epoch has, is noted where a run goes on.

    What no object owns has a number by when it was found, as something within reach or
    by tracing: here it is known by its bits.
    """
    # The first was ended by nobody, so it has saved after its last round.
    place = json.loads((expected.items or {})[_PLACE])
    last = len(place["endings"]) - 1
    before, now = _items(expected, last), _items(found, last)
    names = dict.fromkeys([*before, *now])
    return [name for name in names if before.get(name) != now.get(name)]


def _items(outcome: Outcome, last: int) -> dict[str, str]:
    items = dict(outcome.items or {})
    changes = {**_CHANGES, _PLACE: lambda place: _rounds_of(place, last)}
    for name, change in changes.items():
        if name in items:
            items[name] = json.dumps(change(json.loads(items[name])), sort_keys=True)
    return _without_numbers(items)


def _without_numbers(items: Mapping[str, str]) -> dict[str, str]:
    bits = {
        name.removeprefix("checkpoint "): digest
        for name, digest in items.items()
        if name.startswith("checkpoint found/")
    }
    named = {
        name: re.sub(r"found/\d+", lambda found: bits.get(found[0], found[0]), text)
        if name.startswith("checkpoint meta ")
        else text
        for name, text in items.items()
        if not name.startswith("checkpoint found/")
    }
    return named | {"checkpoint found": repr(sorted(bits.values()))}


def _rounds_of(place: Mapping[str, Any], last: int) -> dict[str, Any]:
    """Give what a place says of the rounds before the last one, and between them."""
    return {
        "between": place["between"],
        "endings": place["endings"][:last],
        "ends": place["ends"][:last],
        "left": [round for round in place["left"] if round < last],
    }


def _without_some(calls: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in calls.items() if not n.startswith(_NOT_ALWAYS)}


def _without_slots(steps: Mapping[str, Any]) -> dict[str, Any]:
    # What no object owns may be a slot as well.
    return {
        step: [[n for n in o if not n.startswith(_PERHAPS_SLOTS)] for o in orders]
        if step.endswith(_REACH)
        else orders
        for step, orders in _without_some(steps).items()
    }


def _kinds(kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Give the kinds of each step's programs, whatever was read by which of them."""
    words = {step: sorted(set(programs.values())) for step, programs in kinds.items()}
    return _without_some(words)


def _with_certainty(data: Mapping[str, Any]) -> dict[str, Any]:
    habits = {
        place: ["same" if word == "assumed" else word for word in habit]
        for place, habit in data["habits"].items()
    }
    return {**data, "habits": habits}


_CHANGES = {
    "checkpoint meta calls": lambda _: {},
    # The shapes of a first call, which may be a validation's.
    "checkpoint meta models": lambda _: {},
    "checkpoint meta steps": _without_slots,
    "checkpoint meta passes": _without_some,
    "checkpoint meta kinds": _kinds,
    "checkpoint meta frozen": _without_some,
    "checkpoint meta data": _with_certainty,
    "checkpoint meta doubts": lambda _: [],
}
