"""What is done to a traced graph before it is compiled; nothing changes a result."""

from collections.abc import Iterator
from typing import final

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from ownloop.backends.contract import Tensor

_aten = torch.ops.aten
_CONSTANTS = (_aten.full.default, _aten.scalar_tensor.default)
_SMALL = 64
"""A scalar is stored if it is used by a tensor with more elements than this."""


class CannotTrace(BaseException):
    """What a step does that a graph cannot hold, in a few words.

    Not an `Exception`, or an `except` of the user's would keep it from us.
    """


@final
class PastKeras(CannotTrace):
    """A step reaches a variable's tensor by another way than the variable."""


def constants(module: torch.fx.GraphModule) -> Iterator[tuple[str, Tensor]]:
    """Yields the name and value of each tensor that a graph holds."""
    for node in module.graph.nodes:
        if node.op == "get_attr":
            yield node.target, getattr(module, node.target)


def changes_constants(module: torch.fx.GraphModule) -> bool:
    """Whether a graph changes, in place, a tensor that it holds."""
    return any(
        isinstance(node.target, torch._ops.OpOverload)
        and node.target._schema.is_mutable
        and any(source.op == "get_attr" for source in node.all_input_nodes[:1])
        for node in module.graph.nodes
    )


def equal(one: torch.fx.GraphModule, other: torch.fx.GraphModule) -> bool:
    """Whether two graphs do the same with the same constants."""
    if one.code != other.code:
        return False
    mine, theirs = dict(constants(one)), dict(constants(other))
    return mine.keys() == theirs.keys() and all(
        torch.equal(mine[name], theirs[name]) for name in mine
    )


def inline_constants(module: torch.fx.GraphModule) -> None:
    """Turns the numbers that a step made tensors of into numbers in the code."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is not _aten.lift_fresh_copy.default:
            continue
        source = node.args[0]
        if source.op != "get_attr":
            continue
        value = getattr(module, source.target)
        if value.numel() != 1 or not _exact(value):
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


def drop_idle_views(module: torch.fx.GraphModule) -> None:
    """Takes out each `expand` that changes nothing.

    Inductor forgets a change that is made through a view of such a result. And without
    operations in place, such a change becomes old + (new - old), which is not new
    where old is memory that nobody has filled.
    """
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is not _aten.expand.default:
            continue
        source = node.args[0]
        if node.meta["val"].shape == source.meta["val"].shape:
            node.replace_all_uses_with(source)
            graph.erase_node(node)
    module.recompile()


def _exact(value: Tensor) -> bool:
    return not value.is_complex() and bool(torch.isfinite(value).all())


def compute_scalars_once(module: torch.fx.GraphModule) -> None:
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
        and node.target not in _CONSTANTS
        # A view is stored already, and not where `as_strided` would look for it.
        and all(result.alias_info is None for result in node.target._schema.returns)
        and isinstance(value, torch.Tensor)
        and value.ndim == 0
    )


def _is_large(node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(v, torch.Tensor) and v.numel() > _SMALL for v in values)


def share_common_work(
    module: torch.fx.GraphModule, examples: tuple[Tensor, ...]
) -> torch.fx.GraphModule:
    """Computes once what several ways through a step compute alike."""
    drop_idle_views(module)
    inline_constants(module)
    with torch.no_grad():
        # Without operations in place, equal operations on equal inputs are equal.
        module = make_fx(
            torch.func.functionalize(module, remove="mutations"),
            tracing_mode="fake",
            _allow_non_fake_inputs=True,
        )(*examples)
    graph = module.graph
    seen: dict[str, torch.fx.Node] = {}
    for node in list(graph.nodes):
        if not _is_pure(node):
            continue
        # The text holds the arguments' types (1 is not 1.0) and the nodes' names.
        key = f"{node.target} {node.args!r} {node.kwargs!r}"
        same = _same_as(node) or seen.setdefault(key, node)
        if same is not node:
            node.replace_all_uses_with(same)
            graph.erase_node(node)
    for node in list(graph.nodes):
        if node.target is _aten.copy_.default and node.args[0] is node.args[1]:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    module.recompile()
    return module


def _same_as(node: torch.fx.Node) -> torch.fx.Node | None:
    """Returns the node that this one gives back unchanged, if it does."""
    if node.target is _aten.where.self and node.args[1] is node.args[2]:
        return node.args[1]
    returned = any(user.op == "output" for user in node.users)
    if node.target is _aten.clone.default and not returned:
        source = node.args[0]
        # A copy that lays the elements out anew is there for a view that follows.
        alike = node.meta["val"].stride() == source.meta["val"].stride()
        return source if alike else None
    return None


def _is_pure(node: torch.fx.Node) -> bool:
    if node.op != "call_function":
        return False
    if not isinstance(node.target, torch._ops.OpOverload):
        return True  # `getitem`, which takes a result apart
    return (
        not node.target._schema.is_mutable
        and torch.Tag.nondeterministic_seeded not in node.target.tags
    )
