"""What two runs must have in common at their ends, and what a count must have seen."""

import json

from faults.asked import AskedCount, quantile
from faults.attempts import Outcome
from faults.ends import apart
from faults.runs import RunCount

PLACE = {
    "round": 3,
    "epoch": None,
    "between": [{}, {"0": {"loss": "0x1.8p-1"}}, {}],
    "endings": ["it was enough", None, None],
    "left": [1],
    "ends": [[2, 8, "{}", {"loss": 2}], [3, 9, "{}", {"loss": 3}], [6, 15, "{}", {}]],
}
STEPS = {
    "train: step": [["model/0", "optimizer/2"]],
    "train: step, within reach": [["model/0", "optimizer/0", "optimizer/1"]],
    "test: step": [["model/0"]],
}


def end(*, place=PLACE, steps=STEPS, moment: str = "0a", weight: str = "1b") -> Outcome:
    items = {
        "variable 0": weight,
        "checkpoint optimizer/2": moment,
        "checkpoint meta place": json.dumps(place),
        "checkpoint meta steps": json.dumps(steps),
    }
    return Outcome(0, 1.0, items=items)


def test_equal_ends_are_not_apart():
    assert apart(end(), end()) == []


def test_what_is_doubted_where_a_run_goes_on_sets_nothing_apart():
    doubted, whole = end(), end()
    doubted.items["checkpoint meta doubts"] = json.dumps(
        ["pass 'train' has other data"]
    )
    whole.items["checkpoint meta doubts"] = json.dumps([])
    assert apart(whole, doubted) == []


def test_another_bit_of_a_weight_or_of_the_optimizer_sets_ends_apart():
    assert apart(end(), end(weight="1c")) == ["variable 0"]
    assert apart(end(), end(moment="0b")) == ["checkpoint optimizer/2"]


def test_an_item_that_is_missing_sets_ends_apart():
    short = end()
    items = {n: v for n, v in (short.items or {}).items() if n != "variable 0"}
    assert apart(end(), Outcome(0, 1.0, items=items)) == ["variable 0"]
    assert apart(end(), Outcome(1, 1.0)) == list(end().items or {})


def test_which_save_was_the_last_does_not():
    some = {word: PLACE[word][:2] for word in ("endings", "ends")}
    earlier = PLACE | {"round": 2, "epoch": 6} | some
    without_the_test = {n: v for n, v in STEPS.items() if not n.startswith("test")}
    assert apart(end(), end(place=earlier, steps=without_the_test)) == []


def test_what_the_rounds_gave_does():
    other = [{}, {"0": {"loss": "0x1.9p-1"}}, {}]
    assert apart(end(), end(place=PLACE | {"between": other}))
    assert apart(end(), end(place=PLACE | {"endings": [None, None, None]}))
    assert apart(end(), end(place=PLACE | {"ends": [[2, 8, "{}", {}]]}))
    assert apart(end(), end(place=PLACE | {"left": []}))
    assert apart(end(), end(place=PLACE | {"left": [1, 2]})) == []


def test_slots_may_be_out_of_reach_but_not_out_of_use():
    key = "train: step, within reach"
    assert apart(end(), end(steps=STEPS | {key: [["model/0", "optimizer/0"]]})) == []
    assert apart(end(), end(steps=STEPS | {key: [["optimizer/0"]]}))
    assert apart(end(), end(steps=STEPS | {"train: step": [["model/0"]]}))


def test_the_numbers_of_what_no_object_owns_do_not_count_and_its_bits_do():
    def found(first: str, second: str, order: list[str]) -> Outcome:
        steps = {"train: step": [["model/0", *order]]}
        outcome = end(steps=steps)
        names = {"checkpoint found/0": first, "checkpoint found/1": second}
        return Outcome(0, 1.0, items={**(outcome.items or {}), **names})

    whole = found("0a", "0b", ["found/0", "found/1"])
    assert apart(whole, found("0b", "0a", ["found/1", "found/0"])) == []
    assert apart(whole, found("0b", "0a", ["found/0", "found/1"]))
    assert apart(whole, found("0a", "0c", ["found/0", "found/1"]))


def test_runs_are_sound_when_so_many_were_killed_as_was_asked_for():
    assert RunCount(wanted=300, runs=20, kills=300, resumes=280, identical=20).is_sound
    assert not RunCount(300, 20, 299, 280, 20).is_sound
    assert not RunCount(300, 20, 300, 280, 19).is_sound
    assert not RunCount(300, 20, 300, 280, 20, errors=("hangs",)).is_sound


def test_asking_is_sound_when_all_left_saved_and_went_on():
    counts = {
        "signals": 8,
        "heard": 8,
        "once": 6,
        "saved": 6,
        "runs": 3,
        "identical": 3,
        "scripts": 2,
        "left": 2,
    }
    assert AskedCount(**counts).is_sound
    for name in counts:
        assert not AskedCount(**counts | {name: counts[name] - 1}).is_sound
    assert not AskedCount(**counts, errors=["went on for a while"]).is_sound


def test_a_quantile_is_a_time_that_was_measured():
    seconds = [float(i) for i in range(100, 0, -1)]
    assert quantile(seconds, 0.99) == 100.0
    assert quantile(seconds[:3], 0.99) == 100.0
