"""Each loop of the gallery runs as it stands, and learns.

Two on each backend: `make gallery` runs all on each, holds them to the same bounds, and
compares the backends as well, in some minutes.
"""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
sys.path.insert(0, str(ROOT / "benchmarks"))

from gallery_bounds import LEARNT  # noqa: E402 - benchmarks are no package

# A minute and more. They come last, and so are not among the two of a backend.
LONG = {"adversarial", "transformer", "wasserstein"}


def test_every_example_has_a_bound():
    assert LEARNT.keys() == {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.mark.in_turn(most=1)
@pytest.mark.parametrize("name", sorted(LEARNT, key=lambda name: (name in LONG, name)))
def test_it_learns(name, monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)  # an example may write a picture
    try:
        learnt = importlib.import_module(name).main()
    finally:
        sys.modules.pop(name, None)
    assert LEARNT[name](learnt), learnt
    assert capsys.readouterr().out
