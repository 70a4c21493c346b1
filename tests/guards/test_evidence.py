"""Evidence is plain data, says what happened, and finds its variables again."""

import keras
import numpy as np
import pytest

from ownloop.errors import LoopError
from ownloop.guards import Evidence, Kept, Spoilt, Where
from ownloop.guards.host import Flaws


def make(state=(), spoilt=(), losses=()):
    logged = {"loss": float("nan"), "g/loss": float("inf"), "rate": 1.0}
    return Evidence(Where(3, 1, "own", 2), None, logged, losses, state, spoilt)


def test_the_cause_names_losses_and_one_variable():
    two = (Spoilt("a", Flaws(1, 1, 4)), Spoilt("b", Flaws(0, 4, 4)))
    evidence = make(spoilt=two, losses=("loss", "g/loss"))
    assert evidence.cause == (
        "loss is nan; g/loss is inf; a has 1 nan and 1 inf among 4 values, and so has "
        "1 more"
    )
    assert str(evidence.where) == "Step 3 (epoch 1, batch 2 of the pass 'own')"


def test_variables_of_one_path_are_taken_in_their_order():
    first, second = (keras.Variable(float(i), name="twin") for i in range(2))
    state = (Kept("twin", np.array(5.0)), Kept("twin", np.array(6.0)))
    pairs = make(state).over([first, second])
    assert pairs[0][0] is first
    assert [value.item() for _, value in pairs] == [5.0, 6.0]


@pytest.mark.parametrize(
    ("path", "shape", "words"),
    [("other", (), "is missing"), ("rate", (2,), r"has the shape \(\)")],
)
def test_state_that_does_not_fit_is_refused(path, shape, words):
    rate = keras.Variable(0.5, name="rate")
    evidence = make((Kept(path, np.zeros(shape)),))
    with pytest.raises(LoopError, match=rf"'{path}'.*{words}.*Expected those.*Build"):
        evidence.over([rate])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_flaws_are_counted_in_any_float(dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    array = np.array([1, np.nan, -np.inf, np.inf]).astype(kind)
    assert str(Flaws.of(array)) == "1 nan and 2 inf among 4 values"
    among = np.array([True, True, False, True])
    assert Flaws.of(array, among) == Flaws(1, 1, 4)
