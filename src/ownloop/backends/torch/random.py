"""Random numbers on PyTorch: the generators' states, and seeded draws in a graph.

Keras draws seeded numbers from a fresh `torch.Generator`, seeded with an integer that
it takes from a variable. A graph can hold neither. Inside a compiled step each such
draw is one of the operations below: it takes the seed as a tensor, and when it runs it
makes the same generator and draws the same numbers as Keras does eagerly.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ownloop.backends.contract import Tensor


def read() -> tuple[Tensor, ...]:
    """Returns the state of the global generators, which unseeded draws come from."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_available():
        states.extend(torch.cuda.get_rng_state_all())
    return tuple(states)


def write(states: Sequence[Tensor | np.ndarray]) -> None:
    """Puts the state of the global generators back; NumPy arrays serve as well."""
    first, *others = map(torch.as_tensor, states)
    torch.set_rng_state(first)
    if others:
        torch.cuda.set_rng_state_all(others)


def _generator(seed: Tensor, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device=device)
    generator.manual_seed(int(seed) & 0xFFFFFFFF)
    return generator


@torch.library.custom_op("ownloop::bernoulli", mutates_args=())
def _bernoulli(seed: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
    return torch.bernoulli(chances, generator=_generator(seed, chances.device))


@_bernoulli.register_fake
def _(seed: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(chances)


@torch.library.custom_op("ownloop::multinomial", mutates_args=())
def _multinomial(
    seed: torch.Tensor, chances: torch.Tensor, count: int, replacement: bool
) -> torch.Tensor:
    generator = _generator(seed, chances.device)
    return torch.multinomial(chances, count, replacement, generator=generator)


@_multinomial.register_fake
def _(
    seed: torch.Tensor, chances: torch.Tensor, count: int, replacement: bool
) -> torch.Tensor:
    return chances.new_empty((*chances.shape[:-1], count), dtype=torch.int64)


@torch.library.custom_op("ownloop::uniform", mutates_args=())
def _uniform(
    seed: torch.Tensor, size: list[int], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    generator = _generator(seed, device)
    return torch.rand(size, generator=generator, dtype=dtype, device=device)


@_uniform.register_fake
def _(
    seed: torch.Tensor, size: list[int], dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    return torch.empty(size, dtype=dtype, device=device)


@torch.library.custom_op("ownloop::normal", mutates_args=())
def _normal(
    seed: torch.Tensor,
    mean: float,
    deviation: float,
    size: list[int],
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    return torch.normal(
        mean,
        deviation,
        size,
        generator=_generator(seed, device),
        dtype=dtype,
        device=device,
    )


@_normal.register_fake
def _(
    seed: torch.Tensor,
    mean: float,
    deviation: float,
    size: list[int],
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    return torch.empty(size, dtype=dtype, device=device)


@torch.library.custom_op("ownloop::integers", mutates_args=())
def _integers(
    seed: torch.Tensor,
    low: int,
    high: int,
    size: list[int],
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    return torch.randint(
        low,
        high,
        size,
        generator=_generator(seed, device),
        dtype=dtype,
        device=device,
    )


@_integers.register_fake
def _(
    seed: torch.Tensor,
    low: int,
    high: int,
    size: list[int],
    dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:
    return torch.empty(size, dtype=dtype, device=device)


def _draw_bernoulli(seed: Tensor, input: Tensor) -> Tensor:
    return _bernoulli(seed, input.detach())


def _draw_multinomial(
    seed: Tensor, input: Tensor, num_samples: int, replacement: bool = False
) -> Tensor:
    return _multinomial(seed, input.detach(), num_samples, replacement)


def _draw_uniform(
    seed: Tensor, size: Any, *, dtype: torch.dtype | None = None, device: Any = None
) -> Tensor:
    return _uniform(seed, list(size), *_kind(dtype, device))


def _draw_normal(
    seed: Tensor,
    mean: float,
    std: float,
    size: Any,
    *,
    dtype: torch.dtype | None = None,
    device: Any = None,
) -> Tensor:
    return _normal(seed, mean, std, list(size), *_kind(dtype, device))


def _draw_integers(
    seed: Tensor,
    low: int,
    high: int,
    size: Any,
    *,
    dtype: torch.dtype | None = None,
    device: Any = None,
) -> Tensor:
    return _integers(seed, low, high, list(size), *_kind(dtype or torch.int64, device))


def _kind(dtype: torch.dtype | None, device: Any) -> tuple[torch.dtype, torch.device]:
    return (
        dtype or torch.get_default_dtype(),
        torch.device(device) if device is not None else torch.get_default_device(),
    )


DRAWS: dict[Any, Callable[..., Tensor]] = {
    torch.bernoulli: _draw_bernoulli,
    torch.multinomial: _draw_multinomial,
    torch.rand: _draw_uniform,
    torch.normal: _draw_normal,
    torch.randint: _draw_integers,
}
"""What a seeded draw becomes in a graph: takes the seed, then the draw's arguments."""
