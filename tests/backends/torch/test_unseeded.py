"""What is drawn before the ways part is drawn once, for all of them."""

import pytest
import torch

from ownloop.backends.torch.graphs import CannotTrace
from ownloop.backends.torch.unseeded import NoDraws, SharedDraws


def test_each_way_sees_the_first_ways_draws():
    shared, seen = SharedDraws(), []
    for _ in range(2):
        shared.begin_way()
        with shared:
            seen.append([torch.rand(2), torch.empty(2).bernoulli_(0.5)])
            seen[-1][0].add_(1)
    for one, other in zip(*seen, strict=True):
        assert torch.equal(one, other)


def test_a_draw_after_the_ways_part_is_refused():
    shared = SharedDraws()
    shared.begin_way()
    shared.parted = True
    with shared, pytest.raises(CannotTrace, match="in a branch"):
        torch.rand(2)


def test_a_branch_may_not_draw():
    with NoDraws(), pytest.raises(CannotTrace, match="in a branch"):
        torch.rand(2)
