"""The gallery page shows each loop's words and step as they stand in its file."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from gallery import names  # noqa: E402 - benchmarks are no package
from gallery_page import PAGE, section  # noqa: E402


@pytest.mark.parametrize("name", names())
def test_the_page_shows_the_loop_as_it_is(name):
    assert section(name) in PAGE.read_text()


@pytest.mark.parametrize("name", names())
def test_a_loop_fits_on_a_screen_or_two(name):
    assert len((ROOT / "examples" / f"{name}.py").read_text().splitlines()) <= 90
