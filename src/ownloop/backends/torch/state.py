"""A step's state on PyTorch: found by a rehearsal, carried as leaves of autograd.

A Keras variable is assigned in place here, and so are the tensors that stand for it:
whoever holds `variable.value` sees the new value, as in plain Keras on PyTorch.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, final

import keras
import torch

from ownloop.backends.branches import check_alike
from ownloop.backends.contract import Snapshot, Tensor
from ownloop.backends.scope import (
    AbstractScope,
    Carried,
    Discovery,
    innermost,
    stored_dtype,
    stored_values,
)
from ownloop.backends.torch import random
from ownloop.backends.torch.unseeded import NoDraws


def as_leaf(value: Tensor, trainable: bool) -> Tensor:
    """Returns the same memory as a leaf of autograd, differentiable if trainable."""
    leaf = value.detach()
    return leaf.requires_grad_() if trainable and _differentiable(leaf) else leaf


def _differentiable(tensor: Tensor) -> bool:
    return bool(tensor.is_floating_point() or tensor.is_complex())


def _copy(value: Tensor) -> Tensor:
    """Returns a copy; gradients taken for the copy's users reach the original."""
    copy = value.clone()
    if value.requires_grad and not copy.requires_grad:
        copy.requires_grad_()
    return copy


def _assign(scope: AbstractScope, variable: keras.Variable, value: Tensor) -> None:
    scope._assigned[id(variable)] = variable
    with torch.no_grad():
        scope.state_mapping[id(variable)].copy_(value)


@final
class Leaves(Carried):
    """Carries leaves of autograd, and assigns them in place.

    branched: whether `ownloop.cond` has selected between values of all variables.
    """

    branched = False

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        self._check(update[0])
        _assign(self, *update)

    def fork(self) -> "Leaves":
        twin = Leaves(self._known, [_copy(value) for value in self.values()])
        twin.losses = self.losses
        return twin


@final
class Rehearsal(Discovery):
    """Finds the variables of a step while it runs on copies of their values."""

    def __init__(self) -> None:
        super().__init__(self._stand_in_for)
        self._reading: set[int] = set()

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        self.get_current_value(update[0])
        _assign(self, *update)

    def fork(self) -> "Rehearsal":
        twin = Rehearsal()
        twin._found = self._found
        twin.state_mapping = {k: _copy(v) for k, v in self.state_mapping.items()}
        twin.losses = self.losses
        return twin

    def get_current_value(self, variable: keras.Variable) -> Tensor:
        if id(variable) in self._found and id(variable) not in self.state_mapping:
            if id(variable) in self._reading:
                return None
            # Another fork has found it first.
            self.state_mapping[id(variable)] = self._stand_in_for(variable)
        return super().get_current_value(variable)

    def _stand_in_for(self, variable: keras.Variable) -> Tensor:
        # Keras asks this scope again, gets None, and answers with the variable's own
        # value, or with what the initializer gives where there is none yet.
        self._reading.add(id(variable))
        try:
            value = variable.value
        finally:
            self._reading.remove(id(variable))
        value = keras.ops.cast(value.detach(), stored_dtype(variable)).clone()
        return as_leaf(value, variable.trainable)


def read(
    variables: Sequence[keras.Variable], reuse: Snapshot | None = None
) -> Snapshot:
    """Copies the values of variables and the state of PyTorch's generators."""
    now = memory(variables)
    if reuse is None:
        return Snapshot(tuple(value.clone() for value in now), random.read())
    _copy_all(reuse.values, now)
    return Snapshot(reuse.values, random.read())


@final
class Native(Discovery):
    """Finds the variables of a step while it runs on their own values.

    For steps whose gradients reach the variables' own tensors only, as those of a
    `torch.nn.Module` inside a Keras layer do. `restore` undoes every change.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def get_current_value(self, variable: keras.Variable) -> Tensor:
        value = super().get_current_value(variable)
        if value is not None and id(variable) not in self._kept:
            self._kept[id(variable)] = (value.detach(), value.detach().clone())
        return value

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        variable, value = update
        with torch.no_grad():
            variable.value.copy_(value)

    def fork(self) -> "Native":
        twin = Native()
        twin._found, twin._kept = self._found, self._kept
        twin.losses = self.losses
        return twin

    def restore(self) -> None:
        """Puts the values back that the variables had before."""
        for memory, value in self._kept.values():
            memory.copy_(value)


def memory(variables: Sequence[keras.Variable]) -> list[Tensor]:
    """Returns the memory of the variables, outside of autograd."""
    return [value.detach() for value in stored_values(variables)]


def write(variables: Sequence[keras.Variable], snapshot: Snapshot) -> None:
    """Puts a snapshot back, in place: the variables keep their tensors."""
    _copy_all(memory(variables), snapshot.values)
    random.write(snapshot.random)


def _copy_all(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    if targets:
        with torch.no_grad():
            torch._foreach_copy_(list(targets), list(sources))


def cond(pred: Tensor, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """Runs one of two branches; in a scope runs both, on copies, and selects."""
    scope = innermost()
    if scope is None or not isinstance(pred, torch.Tensor):
        return then() if bool(pred) else otherwise()
    pred = keras.ops.cast(pred, "bool")
    one, result_one = _in_fork(scope, then)
    other, result_other = _in_fork(scope, otherwise)
    check_alike(result_one, result_other)
    if isinstance(scope, Leaves):
        scope.branched = True
    for key in one.keys() | other.keys():
        present = scope.state_mapping[key]
        with torch.no_grad():
            present.copy_(
                torch.where(pred, one.get(key, present), other.get(key, present))
            )
    return keras.tree.map_structure(
        lambda a, b: None if a is None else keras.ops.where(pred, a, b),
        result_one,
        result_other,
    )


def _in_fork(
    scope: AbstractScope, branch: Callable[[], Any]
) -> tuple[dict[int, Tensor], Any]:
    """Runs a branch on copies; returns their values, and the branch's result.

    All values, since optimizers change them in place, which nothing tells reliably
    while tracing. What a branch has left alone falls out of the graph again.
    """
    fork = scope.fork()
    with fork, NoDraws() if isinstance(scope, Leaves) else contextlib.nullcontext():
        result = branch()
    for key, value in fork.state_mapping.items():
        # What a rehearsal met here first, it knows from now on.
        scope.state_mapping.setdefault(key, value)
    return fork.state_mapping, result
