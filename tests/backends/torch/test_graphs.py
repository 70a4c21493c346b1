"""Passes over a traced graph change what it costs and not what it gives."""

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from ownloop.backends.torch import graphs

aten = torch.ops.aten


def graph_of(function, *examples):
    return make_fx(function, tracing_mode="fake")(*examples)


def targets(module):
    return [node.target for node in module.graph.nodes]


def test_graphs_are_equal_by_code_and_constants():
    x = torch.ones(2)
    one = graph_of(lambda x: x * torch.tensor(2.0), x)
    assert graphs.equal(one, graph_of(lambda x: x * torch.tensor(2.0), x))
    assert not graphs.equal(one, graph_of(lambda x: x * torch.tensor(3.0), x))
    assert not graphs.equal(one, graph_of(lambda x: x + torch.tensor(2.0), x))


def test_tensors_made_of_numbers_become_numbers():
    module = graph_of(lambda x: x * torch.tensor(2.0), torch.ones(3))
    graphs.inline_constants(module)
    assert aten.full.default in targets(module)
    assert aten.lift_fresh_copy.default not in targets(module)
    assert module(torch.ones(3)).tolist() == [2, 2, 2]


def test_a_scalar_that_a_large_tensor_uses_is_stored():
    examples = torch.ones(100), torch.tensor(2.0)
    module = graph_of(lambda x, s: x * (s**3) + 1, *examples)
    graphs.compute_scalars_once(module)
    assert targets(module).count(aten.as_strided.default) == 1
    assert module(*examples)[0] == 9


def test_work_that_two_ways_have_in_common_is_done_once():
    def function(x, q):
        one, other = x.clone(), x.clone()
        one.add_(torch.sin(x))
        other.sub_(torch.sin(x))
        x.copy_(torch.where(q, one, other))
        return [x.clone()]

    examples = torch.ones(3), torch.tensor(True)
    module = graphs.share_common_work(graph_of(function, *examples), examples)
    assert targets(module).count(aten.sin.default) == 1
    assert aten.clone.default in targets(module)
    x = torch.zeros(3)
    module(x, torch.tensor(False))
    assert torch.equal(x, -torch.sin(torch.zeros(3)))


def test_random_draws_are_never_taken_for_equal():
    examples = (torch.ones(3),)
    module = graph_of(lambda x: [torch.rand_like(x), torch.rand_like(x)], *examples)
    module = graphs.share_common_work(module, examples)
    one, other = module(*examples)
    assert not torch.equal(one, other)


def test_a_copy_that_lays_elements_out_anew_stays():
    def function(x):
        return x.transpose(0, 1).contiguous().view(6)

    x = torch.arange(6.0).reshape(2, 3)
    module = graphs.share_common_work(graph_of(function, x), (x,))
    assert torch.equal(module(x), function(x))


def test_a_change_through_an_idle_view_is_not_forgotten():
    def function(x):
        base = x.new_zeros(2, 2)
        base.expand(2, 2)[0].copy_(x[0])
        return base * 1.0

    x = torch.ones(2, 2)
    module = graph_of(function, x)
    assert aten.expand.default in targets(module)
    graphs.drop_idle_views(module)
    assert aten.expand.default not in targets(module)
    assert torch.equal(module(x), function(x))


def test_a_change_through_an_idle_view_forgets_what_was_there_before():
    def function(x):
        base = torch.full_like(x, torch.nan)
        base.expand(2, 2).copy_(x)
        return base * 1.0

    x = torch.ones(2, 2)
    module = graphs.share_common_work(graph_of(function, x), (x,))
    assert torch.equal(module(x), x)


def test_a_scalar_view_of_a_tensor_stays_what_it_is():
    def function(x):
        return torch.zeros(100) + x[1]

    x = torch.tensor([1.0, 2.0])
    module = graph_of(function, x)
    graphs.compute_scalars_once(module)
    assert aten.as_strided.default not in targets(module)
    assert torch.equal(module(x), function(x))
