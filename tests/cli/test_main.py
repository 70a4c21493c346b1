"""The command as a whole: what its process ends with."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(os.name == "nt", reason="there are no such pipes")
@pytest.mark.parametrize("words", [["runs"], ["show"], ["show", "--log"], ["verify"]])
def test_it_ends_with_141_where_nobody_reads_what_it_prints(finished, words):
    ours, theirs = os.pipe()
    os.close(ours)
    # Unbuffered, each line would find that out by itself.
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-m", "ownloop", *words, finished],
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        env=buffered,
        check=False,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (141, "")
