"""PyTorch: a step becomes one graph, compiled by inductor, that works in place."""

from ownloop.backends.torch.room import Torch as Torch
