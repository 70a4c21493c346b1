"""A run of a real framework, killed for real, ends with the same bits.

Two kills here, so that `make test` stays short; `make faults` has many more.
"""

import os
import shutil
from pathlib import Path

import pytest

from faults.attempts import Attempt, differing
from faults.runs import NETWORKS, reference
from faults.server import Server

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no fork")

IN_A_CHUNK_OF_THE_SECOND_EPOCH = {"kind": "step", "at": 38}
WHILE_IT_SAVES = {"kind": "save", "at": 9}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module", params=NETWORKS)
def settings(backend, request) -> dict[str, object]:
    left = {"jax": "images", "tensorflow": "dense"}
    if left.get(backend) == request.param:
        pytest.skip("half a minute that `make faults` spends")
    # PyTorch's compiler takes longer than all that is tested here.
    return {"compile": backend != "torch", "network": request.param}


@pytest.fixture(scope="module")
def server(backend, home):
    with Server(backend, home / "compiled") as server:
        yield server


@pytest.fixture(scope="module")
def expected(server, home, settings):
    return reference(server, home, settings)


@pytest.fixture(scope="module")
def killed(server, home, settings) -> Path:
    folder = home / f"killed-{settings['network']}"
    for moment in (IN_A_CHUNK_OF_THE_SECOND_EPOCH, WHILE_IT_SAVES):
        outcome = server.attempt(Attempt(str(folder), settings=settings, **moment))
        assert outcome.killed, outcome.error or outcome.output
    return folder


def test_a_run_that_was_killed_twice_ends_with_the_same_bits(
    server, home, settings, expected, killed
):
    folder = home / f"continued-{settings['network']}"
    shutil.copytree(killed, folder)
    outcome = server.attempt(Attempt(str(folder), settings=settings))
    assert outcome.done, outcome.error
    assert "continuing" in outcome.notices[0]
    assert differing(expected, outcome) == []


@pytest.mark.parametrize("item", ["loop.memory", "the seed that no object owns"])
def test_it_would_show_if_an_item_of_the_state_were_lost(
    server, home, settings, expected, killed, item
):
    folder = home / f"{item} {settings['network']}"
    shutil.copytree(killed, folder)
    outcome = server.attempt(Attempt(str(folder), settings=settings, forget=item))
    assert differing(expected, outcome)
