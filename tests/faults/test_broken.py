"""A run whose disk is full or broken says so, and loses nothing.

A few failures here, so that `make test` stays short; `make faults-long` has them all.
"""

import os

import pytest

from faults.broken import count_broken
from faults.server import Server

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no fork")


def test_a_run_whose_disk_fails_ends_or_says_what_to_do_and_goes_on(backend, tmp_path):
    if backend != "jax":
        pytest.skip("what belongs to no framework is tried on one of them")
    with Server(backend, tmp_path / "home") as server:
        count = count_broken([server], tmp_path, stride=90)
    print(count)
    assert count.calls > 200
    assert count.wrong == count.stuck == ()
    assert count.points > 20
    assert count.told > 10
    assert count.is_sound
