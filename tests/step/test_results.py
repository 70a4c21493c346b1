"""Results of metrics, known by identity while a step runs."""

import threading

import keras
import pytest

from ownloop.step.results import Results, RunningValue


@pytest.fixture
def mean():
    return keras.metrics.Mean(name="mean")


def methods():
    owners = (keras.Metric, keras.metrics.Mean, keras.metrics.MeanSquaredError)
    names = ("result", "update_state", "reset_state")
    return [vars(owner).get(name) for owner in owners for name in names]


def test_one_inside_of_another_hears_what_is_within_it(mean):
    plain = methods()
    with Results() as outer:
        mean.update_state([1.0])
        first = mean.result()
        with Results() as inner:
            mean.update_state([2.0])
            second = mean.result()
        third = mean.result()
        assert methods() != plain
    assert methods() == plain
    assert [inner.find("a", v) is not None for v in (first, second, third)] == [
        False,
        True,
        False,
    ]
    assert outer.find("a", first) == outer.find("a", second) == outer.find("a", third)


def test_another_thread_is_not_heard_and_the_last_one_tidies_up(mean):
    plain, values = methods(), []
    begun, over = threading.Event(), threading.Event()

    def other():
        with Results():
            begun.set()
            over.wait()

    thread = threading.Thread(target=other)
    with Results() as results:
        thread.start()
        begun.wait()
        mean.update_state([1.0])

        def elsewhere():
            values.append(mean.result())

        helper = threading.Thread(target=elsewhere)
        helper.start()
        helper.join()
    assert results.find("a", values[0]) is None
    assert methods() != plain
    over.set()
    thread.join()
    assert methods() == plain


def test_after_an_error_the_classes_are_as_they_were(mean):
    plain = methods()
    with pytest.raises(KeyError), Results():
        raise KeyError
    assert methods() == plain


def test_numbers_of_python_are_no_results(mean):
    class Constant(keras.metrics.Mean):
        def result(self):
            return 0.0

    constant = Constant(name="constant")
    with Results() as results:
        constant.update_state([1.0])
        zero = constant.result()
        mean.update_state([1.0])
        value = mean.result()
    assert results.find("a", zero) is None
    assert results.find("a", value) == RunningValue("a", "mean", is_part=False)
