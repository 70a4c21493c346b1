"""From a graph of PyTorch operations to machine code, by PyTorch's own inductor."""

import functools
import subprocess
import warnings
from collections.abc import Callable, Sequence

import torch

from ownloop import machine
from ownloop.backends.contract import Tensor
from ownloop.backends.torch import graphs
from ownloop.backends.torch.tracing import Graph

with warnings.catch_warnings():
    # PyTorch 2.13 warns of its own use of `torch.jit` when this is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx

_OPTIONS = {
    # The code that calls the kernels is C++ as well: for small models it costs more
    # than they do.
    "cpp_wrapper": True,
    # Unseeded draws take the same numbers as eagerly, from the global generator.
    "fallback_random": True,
}

Compiled = Callable[..., Sequence[Tensor]]
"""Takes the state and a batch's leaves; changes the state; returns the values."""


@functools.cache
def compiler_version() -> str | None:
    """Returns what the C++ compiler calls itself; kernels are of its making."""
    path = machine.compiler()
    if path is None:
        return None
    said = subprocess.run([path, "--version"], capture_output=True, text=True)
    return said.stdout.partition("\n")[0]


def build(graph: Graph) -> Compiled:
    """Compiles a graph. The result is called with autograd off."""
    graphs.drop_idle_views(graph.module)
    graphs.inline_constants(graph.module)
    graphs.compute_scalars_once(graph.module)
    with torch.no_grad(), config.patch(_OPTIONS), warnings.catch_warnings():
        # What PyTorch's compiler says about its own code is no news to a user.
        warnings.simplefilter("ignore")
        compiled: Compiled = compile_fx(graph.module, list(graph.examples))
    return compiled
