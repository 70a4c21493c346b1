"""Numbers in a table: four decimals where they say something."""

import math

import pytest

from ownloop.history.table import decimal


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0.0000"),
        (0.01, "0.0100"),
        (-0.009999, "-9.999e-03"),
        (99999.0, "99999.0000"),
        (-1e5, "-1.000e+05"),
        (math.inf, "inf"),
        (math.nan, "-"),
    ],
)
def test_a_number_that_decimals_do_not_suit_has_an_exponent(value, words):
    assert decimal(value) == words
