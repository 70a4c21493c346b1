"""A run of a real framework, killed for real, ends with the same bits.

Two kills here, so that `make test` stays short; `make faults` has many more.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from faults.attempts import Attempt
from faults.ends import apart
from faults.runs import JOBS, begin, reference
from faults.server import Server

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no fork")

IN_A_CHUNK_OF_THE_SECOND_EPOCH = {"kind": "step", "at": 38}
WHILE_IT_SAVES = {"kind": "save", "at": 9}
AFTER_A_ROUND_THAT_WAS_LEFT = {"kind": "step", "at": 118}

KILLS = dict.fromkeys(JOBS, (IN_A_CHUNK_OF_THE_SECOND_EPOCH, WHILE_IT_SAVES))
KILLS["wanderer"] = (AFTER_A_ROUND_THAT_WAS_LEFT,)
LOST = dict.fromkeys(JOBS, ("loop.memory", "the seed that no object owns"))
LOST["wanderer"] = ("which rounds were left",)

# Half a minute each, which `make faults` spends.
LEFT_OUT = {"jax": ("images",), "tensorflow": ("dense", "wanderer"), "torch": ()}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module", params=JOBS)
def job(backend, request) -> str:
    if request.param in LEFT_OUT[backend]:
        pytest.skip("tried on another backend")
    return request.param


@pytest.fixture(scope="module")
def server(backend, home):
    with Server(backend, home / "compiled") as server:
        yield server


@pytest.fixture(scope="module")
def attempt(backend, home, job) -> Attempt:
    # PyTorch's compiler takes longer than all that is tested here.
    return begin(home / f"reference-{job}", job, {"compile": backend != "torch"})


@pytest.fixture(scope="module")
def expected(server, attempt):
    return reference(server, attempt)


@pytest.fixture(scope="module")
def killed(server, home, job, attempt) -> Path:
    folder = home / f"killed-{job}"
    for moment in KILLS[job]:
        outcome = server.attempt(replace(attempt, folder=str(folder), **moment))
        assert outcome.killed, outcome.error or outcome.output
    return folder


def test_a_run_that_was_killed_ends_with_the_same_bits(
    server, home, job, attempt, expected, killed
):
    folder = home / f"continued-{job}"
    shutil.copytree(killed, folder)
    outcome = server.attempt(replace(attempt, folder=str(folder)))
    assert outcome.done, outcome.error
    assert "continuing" in outcome.notices[0]
    assert apart(expected, outcome) == []


def test_it_would_show_if_an_item_of_the_state_were_lost(
    server, home, job, attempt, expected, killed
):
    for item in LOST[job]:
        folder = home / f"{item} {job}"
        shutil.copytree(killed, folder)
        outcome = server.attempt(replace(attempt, folder=str(folder), forget=item))
        assert apart(expected, outcome), item
