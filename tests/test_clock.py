"""``every``: when the user's Python looks, as a value."""

import numpy as np
import pytest

from ownloop.clock import Every, SaveEvery, every, minutes
from ownloop.errors import LoopError


def looks(when: Every, batches: int) -> list[int]:
    """The batches of a pass after which ``when`` looks, by walking it."""
    found, done = [], 0
    while (ahead := when.next_look(done)) is not None and done + ahead <= batches:
        assert ahead >= 1
        done += ahead
        found.append(done)
    return found


def test_a_plain_number_looks_after_each_multiple():
    assert looks(Every.of(300), 1563) == [300, 600, 900, 1200, 1500]


def test_start_one_gives_the_textbooks_batches():
    textbook = every(300, start=1)
    assert looks(textbook, 1563) == [1, 301, 601, 901, 1201, 1501]
    assert [batch - 1 for batch in looks(textbook, 601)] == [0, 300, 600]


def test_two_numbers_look_at_the_multiples_of_both():
    assert looks(Every.of((300, 1000)), 1300) == [300, 600, 900, 1000, 1200]


def test_a_start_beyond_the_first_step_waits_for_it():
    assert looks(every(2, start=5), 10) == [5, 7, 9]


def test_one_looks_after_every_batch():
    assert looks(every(1), 4) == [1, 2, 3, 4]


def test_none_never_looks_before_the_end():
    assert Every.of(None).next_look(0) is None


def test_the_next_look_can_be_asked_from_any_batch():
    for done in range(20):
        expected = min(look for look in looks(every(3, 7, start=2), 40) if look > done)
        assert done + every(3, 7, start=2).next_look(done) == expected


def test_equal_meanings_are_equal_values_and_can_be_keys():
    assert every(300) == Every.of(300) == Every.of((300, 300))
    assert every(1000, 300) == Every.of((300, 1000))
    assert {every(300): "here"}[Every.of(300)] == "here"
    assert every(300) != every(300, start=1)


def test_an_every_passes_through_unchanged():
    when = every(300, start=1)
    assert Every.of(when) is when


@pytest.mark.parametrize("number", [np.int64(300), np.array(300)])
def test_numpy_integers_are_whole_numbers_and_kept_as_pythons(number):
    assert Every.of(number) == every(300)
    assert SaveEvery.of(number) == SaveEvery(steps=300)
    assert type(SaveEvery.of(number).steps) is int


@pytest.mark.parametrize("value", [0, -3, True, 2.5, "300", (), (300, 0), [300]])
def test_what_is_no_count_of_batches_is_refused_with_its_value(value):
    with pytest.raises(LoopError, match=r"Got .*whole numbers .* from 1 up.*Write"):
        Every.of(value)


@pytest.mark.parametrize("start", [-1, 1.0, True, None])
def test_a_bad_start_is_refused(start):
    with pytest.raises(LoopError, match="start: from 0 up"):
        every(300, start=start)


def test_a_value_cannot_be_changed():
    with pytest.raises(AttributeError):
        every(300).start = 1


@pytest.mark.parametrize("more", [{"start": 1}, {"more": (300,)}])
def test_a_duration_stands_alone(more):
    with pytest.raises(
        LoopError, match=r"together with.*duration alone.*Write every\("
    ):
        every(minutes(5), *more.pop("more", ()), **more)


@pytest.mark.parametrize("number", [5, 0.5, np.int64(5), np.float32(0.5)])
def test_a_duration_is_any_number_above_zero_in_seconds(number):
    duration = minutes(number)
    assert duration.seconds == 60 * float(number)
    assert type(duration.seconds) is float


NO_TIMES = [0, -1, 0.0, True, "5", None, np.nan, np.inf, -np.inf, np.float32("nan")]


@pytest.mark.parametrize("number", NO_TIMES, ids=repr)
def test_what_is_no_length_of_time_is_refused(number):
    with pytest.raises(
        LoopError, match=r"`minutes` got .*finite number above 0.*Write"
    ):
        minutes(number)


@pytest.mark.parametrize("number", [0, -1, 2.5, True, "300", (), (300,)], ids=repr)
def test_what_is_no_number_of_steps_to_save_after_is_refused(number):
    with pytest.raises(
        LoopError, match=r"`save` is .*Expected one number of steps.*Write save="
    ):
        SaveEvery.of(number)


def test_a_save_has_one_number_and_no_start():
    with pytest.raises(LoopError, match="without a `start`"):
        SaveEvery.of(every(1000, start=1))
