"""From a graph of PyTorch operations to machine code, by PyTorch's own inductor."""

import contextlib
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ownloop.backends.contract import Tensor
from ownloop.backends.torch.tracing import Graph

with warnings.catch_warnings():
    # PyTorch 2.13 warns of its own use of `torch.jit` when this is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx

_aten = torch.ops.aten
_CONSTANTS = (_aten.full.default, _aten.scalar_tensor.default)
_SMALL = 64

Compiled = Callable[..., Sequence[Tensor]]
"""Takes the state and a batch's leaves; changes the state; returns the values."""


def compiler() -> str | None:
    """Returns the C++ compiler that inductor uses on this machine, if it has one."""
    usual = "clang++" if sys.platform == "darwin" else "g++"
    return shutil.which(os.environ.get("CXX", usual))


def build(graph: Graph) -> Compiled:
    """Compiles a graph. The result is called with autograd off."""
    _inline_constants(graph.module)
    _compute_scalars_once(graph.module)
    options = {"cpp_wrapper": True, "fallback_random": True}
    with torch.no_grad(), config.patch(options), _quiet():
        return compile_fx(graph.module, list(graph.examples))


def _inline_constants(module: torch.fx.GraphModule) -> None:
    """Turns the numbers that a step made tensors of into numbers in the code."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is not _aten.lift_fresh_copy.default:
            continue
        source = node.args[0]
        if source.op != "get_attr":
            continue
        value = getattr(module, source.target)
        if value.numel() != 1:
            continue
        with graph.inserting_before(node):
            number = graph.call_function(
                _aten.full.default,
                (list(value.shape), value.item()),
                {"dtype": value.dtype, "device": value.device},
            )
        number.meta = dict(node.meta)
        node.replace_all_uses_with(number)
        graph.erase_node(node)
    module.recompile()


def _compute_scalars_once(module: torch.fx.GraphModule) -> None:
    """Makes inductor store scalars that large operations use.

    Inductor would write the scalar's whole computation into the loop over each large
    tensor, for Adam two calls of `pow` per sixteen weights, half of a step's time.
    `as_strided` changes nothing and makes it store its input.
    """
    graph = module.graph
    for node in list(graph.nodes):
        if not _is_scalar_result(node):
            continue
        users = [user for user in node.users if _is_large(user)]
        if not users:
            continue
        with graph.inserting_after(node):
            stored = graph.call_function(_aten.as_strided.default, (node, [], [], 0))
        stored.meta = dict(node.meta)
        for user in users:
            user.replace_input_with(node, stored)
    module.recompile()


def _is_scalar_result(node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    return (
        isinstance(node.target, torch._ops.OpOverload)
        and not node.target._schema.is_mutable
        and node.target not in _CONSTANTS
        and isinstance(value, torch.Tensor)
        and value.ndim == 0
    )


def _is_large(node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(v, torch.Tensor) and v.numel() > _SMALL for v in values)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides what PyTorch's compiler warns of about its own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
