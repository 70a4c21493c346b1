"""Whether two runs came to the same end, whichever of their saves was the last."""

import json
from collections.abc import Mapping
from typing import Any

from faults.attempts import Outcome

_ROUNDS = 3
_AFTER_THEM = "test: "
"""The rounds of `job`, and how the calls begin that it makes after them."""

_REACH = ", within reach"


def apart(expected: Outcome, found: Outcome) -> list[str]:
    """Name the items in which two runs differ that came to their ends.

    The newest checkpoint counts in full: it holds the optimizer's moments and averages
    of the end, since after the last round nothing is trained. Only four things may
    differ in it, which say how the run came there and not where it is: what was within
    reach of the calls that it had made by then, which another process needs in the
    middle of them. A run that was
    killed between the end of its last epoch and that of its round need not save again.
    Where the clock says when, the validation after the round is saved, too, and what
    this call depends on is in the state then. And an optimizer has its slots within
    a step's reach, or not yet, where a process goes on between two passes.
    """
    before, now = _items(expected), _items(found)
    names = dict.fromkeys([*before, *now])
    return [name for name in names if before.get(name) != now.get(name)]


def _items(outcome: Outcome) -> dict[str, str]:
    items = dict(outcome.items or {})
    for name, change in _CHANGES.items():
        key = f"checkpoint meta {name}"
        if key in items:
            items[key] = json.dumps(change(json.loads(items[key])), sort_keys=True)
    return items


def _rounds_of(place: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a place says of the rounds before the last one, and between them."""
    return {"between": place["between"], "endings": place["endings"][: _ROUNDS - 1]}


def _without_the_last(calls: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in calls.items() if not n.startswith(_AFTER_THEM)}


def _without_slots(steps: Mapping[str, Any]) -> dict[str, Any]:
    return {
        step: [[n for n in o if not n.startswith("optimizer/")] for o in orders]
        if step.endswith(_REACH)
        else orders
        for step, orders in _without_the_last(steps).items()
    }


def _kinds(kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Give the kinds of each step's programs, whatever was read by which of them."""
    words = {step: sorted(set(programs.values())) for step, programs in kinds.items()}
    return _without_the_last(words)


_CHANGES = {
    "calls": lambda _: {},
    "place": _rounds_of,
    "steps": _without_slots,
    "passes": _without_the_last,
    "kinds": _kinds,
}
