"""Each loop of the gallery runs as it stands, on this backend, and learns.

The bounds lie outside of all that was seen over several seeds and the three backends.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

Learnt = dict[str, float]

LEARNT: dict[str, Callable[[Learnt], bool]] = {
    "adversarial": lambda v: (
        v["robust_attacked"] > 0.55
        and v["plain_attacked"] < 0.25
        and v["robust_clean"] > 0.92
        and v["plain_clean"] > 0.89
    ),
    "contrastive": lambda v: (
        v["contrastive"] > 0.77 and v["untrained"] < v["contrastive"] - 0.05
    ),
    "distillation": lambda v: v["with_teacher"] > max(0.8, v["alone"]),
    "gan": lambda v: v["drawn_as_asked"] > 0.93 and v["read_by_pupil"] > 0.8,
    "sharpness_aware": lambda v: v["sharpness_aware"] > 0.84 and v["plain"] < 0.75,
    "variational_autoencoder": lambda v: (
        v["autoencoder"] < 115 < v["principal_components"]
    ),
    "wasserstein": lambda v: v["drawn"] < 1.0 and v["untrained"] > 5,
}


def test_every_example_has_a_bound():
    assert LEARNT.keys() == {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize("name", sorted(LEARNT))
def test_it_learns(name, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)  # an example may write a picture
    try:
        learnt = importlib.import_module(name).main()
    finally:
        sys.modules.pop(name, None)
    assert LEARNT[name](learnt), learnt
    assert capsys.readouterr().out
