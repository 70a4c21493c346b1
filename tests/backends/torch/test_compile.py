"""A step becomes one compiled graph; it computes what plain Keras computes."""

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
import torch

from ownloop.backends.contract import (
    EAGER,
    STEPWISE,
    AbstractBackend,
    LeafSpec,
    StepValues,
)
from ownloop.backends.torch import tracing
from ownloop.backends.torch.graphs import CannotTrace

layers = keras.layers
schedules = keras.optimizers.schedules


def adam(**options: Any) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(1e-2, **options)


OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "Adam": adam,
    "AdamW": lambda: keras.optimizers.AdamW(1e-2),
    "SGD with momentum": lambda: keras.optimizers.SGD(1e-2, momentum=0.9),
    "exponential decay": lambda: keras.optimizers.Adam(
        schedules.ExponentialDecay(1e-2, 5, 0.9)
    ),
    "cosine decay, warmed up": lambda: keras.optimizers.Adam(
        schedules.CosineDecay(1e-3, 20, warmup_target=1e-2, warmup_steps=5)
    ),
    "EMA": lambda: adam(use_ema=True, ema_overwrite_frequency=3),
    "accumulation": lambda: adam(gradient_accumulation_steps=4),
}


def attention(x: Any) -> Any:
    return layers.MultiHeadAttention(2, 3)(x, x)


def images(*middle: Any) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            *middle,
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def sequence(layer: Callable[[Any], Any], shape: tuple[int, ...] = (5, 3)) -> Any:
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(layer(inputs))))


def mlp() -> keras.Model:
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(4)]
    )


MODELS: dict[str, Callable[[], keras.Model]] = {
    "Dense": mlp,
    "Conv2D, BatchNormalization": lambda: images(layers.BatchNormalization()),
    "Dropout": lambda: images(layers.Dropout(0.5)),
    "Dropout, seeded": lambda: images(layers.Dropout(0.5, seed=1)),
    "GaussianNoise": lambda: images(layers.GaussianNoise(0.5, seed=1)),
    "RandomFlip": lambda: sequence(layers.RandomFlip(seed=1), (5, 5, 1)),
    "GRU": lambda: sequence(layers.GRU(4)),
    "attention": lambda: sequence(attention),
    "Embedding": lambda: sequence(layers.Embedding(10, 3), (4,)),
}
"""All of them are compiled on PyTorch, and all optimizers: each with the next one."""

CASES = list(zip(MODELS, itertools.cycle(OPTIMIZERS)))


@pytest.mark.in_turn(of=("torch",), most=2)
@pytest.mark.parametrize(("model", "optimizer"), CASES)
def test_a_step_is_compiled_and_equals_eager_keras_in_chunks_of_any_length(
    room, classifier, model, optimizer
):
    job = classifier(
        MODELS[model](), OPTIMIZERS[optimizer](), integers=model == "Embedding"
    )
    program = room.compile(job.step, job.batch)
    assert program.kind == STEPWISE
    start = room.read(program.variables)

    def outcome(program_: Any, parts: list[int]) -> tuple[Any, Any]:
        room.write(program.variables, start)
        values = job.run(program_, parts)
        return values.every, room.read(program.variables)

    whole, end = outcome(program, [20])
    single, end_of_single = outcome(program, [1] * 20)
    for one, other in zip(whole, single, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(end.values, end_of_single.values, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(end.random, end_of_single.random, strict=True):
        assert torch.equal(one, other)
    eager, end_of_eager = outcome(room.compile(job.step, job.batch, eager=True), [20])
    for one, other in zip(whole, eager, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    for one, other in zip(end.random, end_of_eager.random, strict=True):
        assert torch.equal(one, other)


def test_compiling_changes_no_variable_and_no_random_state(room, classifier):
    model, optimizer = mlp(), adam()
    job = classifier(model, optimizer)
    weights = room.read(model.weights).values
    before = torch.get_rng_state()
    program = room.compile(job.step, job.batch)
    assert torch.equal(before, torch.get_rng_state())
    for one, other in zip(weights, model.weights, strict=True):
        assert torch.equal(one, other.value)
    slots = [v for v in optimizer.variables if v is not optimizer.learning_rate]
    assert {id(v) for v in slots} <= {id(v) for v in program.variables}
    assert all(v.value.abs().sum().item() == 0 for v in slots)


def test_variables_made_by_the_first_step_get_their_initial_values(room, batches):
    layer = layers.Dense(2, kernel_initializer="ones", bias_initializer="ones")

    def step(leaves):
        return StepValues((keras.ops.sum(layer(leaves[0])),), ())

    program = room.compile(step, [LeafSpec((3, 2), "float32")])
    assert [v is w for v, w in zip(program.variables, layer.weights, strict=True)]
    segment = batches(2, leaves=[np.ones((2, 3, 2), "float32")])
    np.testing.assert_array_equal(program.run([segment], None).every[0], [18, 18])


def test_a_variable_that_is_returned_is_kept_as_it_was_then(room, batches):
    count = keras.Variable(0.0, trainable=False)

    def step(leaves):
        count.assign_add(1.0)
        return StepValues((count.value,), (count.value,))

    values = room.compile(step, []).run([batches(2), batches(1)], None)
    np.testing.assert_array_equal(values.every[0], [1, 2, 3])
    np.testing.assert_array_equal(values.final[0], 3)
    assert count.value.item() == 3


def test_a_tensor_from_outside_is_read_anew_at_each_run(room, batches):
    scale = torch.ones(100)
    program = room.compile(lambda leaves: StepValues((scale.sum(),), ()), [])
    scale.mul_(2)
    assert program.run([batches(1)], None).every[0] == [200]


def test_a_tensor_from_outside_that_a_step_changes_makes_it_eager(room):
    scale = torch.ones(())
    program = room.compile(lambda leaves: StepValues((scale.add_(1),), ()), [])
    assert "changes a tensor that is no variable" in program.reason


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), StopIteration("mine")])
def test_an_exception_of_the_step_comes_out_as_it_is(room, error):
    def step(leaves):
        raise error

    with pytest.raises(type(error), match="mine") as caught:
        room.compile(step, [])
    assert caught.value is error


def python_float(count: keras.Variable) -> Any:
    return count.value * float(count.value)


def python_integer(count: keras.Variable) -> Any:
    return count.value * int(count.value)


def python_range(count: keras.Variable) -> Any:
    return sum([count.value for _ in range(int(count.value))], count.value)


def python_index(count: keras.Variable) -> Any:
    return torch.arange(9.0)[int(count.value)]


def item_of_a_tensor(count: keras.Variable) -> Any:
    return count.value * count.value.item()


def item_that_decides(count: keras.Variable) -> Any:
    return count.value * (2.0 if count.value.item() > 1 else 1.0)


def list_of_a_tensor(count: keras.Variable) -> Any:
    return count.value + sum(torch.stack([count.value, count.value]).tolist())


def complex_of_a_tensor(count: keras.Variable) -> Any:
    return count.value * complex(count.value).real


def array_of_a_tensor(count: keras.Variable) -> Any:
    return count.value * np.asarray(count.value.detach()).max().item()


def caught_float(count: keras.Variable) -> Any:
    try:
        return count.value * float(count.value)
    except Exception:
        return count.value * 7


def caught_array(count: keras.Variable) -> Any:
    try:
        return count.value * count.value.detach().numpy().item()
    except Exception:
        return count.value * 7


def length_of_a_selection(count: keras.Variable) -> Any:
    few = torch.arange(5.0)
    return keras.ops.convert_to_tensor(few[few < count.value].shape[0])


def endless_choice(count: keras.Variable) -> Any:
    value = count.value
    while value < 9:
        value = value + 1
    return value


def own_generator(count: keras.Variable) -> Any:
    return torch.rand((), generator=torch.Generator().manual_seed(0)) + count.value


def gamma_numbers(count: keras.Variable) -> Any:
    return keras.random.gamma((), 2.0, seed=1) + count.value


@pytest.mark.parametrize(
    ("compute", "reason"),
    [
        (python_float, "asks for the value of a tensor"),
        (python_integer, "makes a Python integer of a tensor"),
        (python_range, "makes a Python integer of a tensor"),
        (python_index, "makes a Python integer of a tensor"),
        (item_of_a_tensor, "asks for the value of a tensor"),
        (item_that_decides, "asks for the value of a tensor"),
        (list_of_a_tensor, "asks for the value of a tensor"),
        (complex_of_a_tensor, "asks for the value of a tensor"),
        (array_of_a_tensor, "hands a tensor to NumPy"),
        (caught_float, "asks for the value of a tensor"),
        (caught_array, "hands a tensor to NumPy"),
        (length_of_a_selection, "asks for the value of a tensor"),
        (endless_choice, "more than 8 ways"),
        (own_generator, "generator of its own"),
        (gamma_numbers, "PyTorch cannot compile this step"),
    ],
)
def test_what_cannot_be_traced_runs_eagerly_and_says_why(
    room, batches, compute, reason
):
    count = keras.Variable(0.0, trainable=False)

    def step(leaves):
        count.assign_add(1.0)
        return StepValues((compute(count),), ())

    program = room.compile(step, [])
    assert program.kind == EAGER
    assert reason in program.reason
    assert program.variables == (count,)
    assert count.value.item() == 0
    values = program.run([batches(3)], None).every[0]
    count.assign(0.0)
    torch.testing.assert_close(
        values, np.stack([step(()).every[0].detach().numpy() for _ in range(3)])
    )


def test_a_python_number_that_a_step_keeps_is_kept_at_each_step(room, batches):
    count, kept = keras.Variable(0.0, trainable=False), []

    def step(leaves):
        value = count.assign_add(1.0)
        kept.append(value.item())
        return StepValues((value,), ())

    program = room.compile(step, [])
    kept.clear()
    program.run([batches(3)], None)
    assert kept == [1.0, 2.0, 3.0]


def test_an_integer_of_a_tensor_that_decides_what_is_used_is_no_error(room, batches):
    one, other = keras.Variable(0.0), keras.Variable(0.0)

    def step(leaves):
        used = one if int(one.value) >= 0 else other
        return StepValues((used.assign_add(1.0),), ())

    program = room.compile(step, [])
    assert "makes a Python integer of a tensor" in program.reason
    np.testing.assert_array_equal(program.run([batches(2)], None).every[0], [1, 2])


def test_sizes_that_keras_makes_of_tensors_are_traced(room, batches):
    def step(leaves):
        first, _ = keras.ops.split(leaves[0], [1])
        return StepValues((first[0],), ())

    program = room.compile(step, [LeafSpec((3,), "float32")])
    assert program.kind == STEPWISE
    values = program.run([batches(1, leaves=[np.ones((1, 3), "float32")])], None)
    assert values.every[0] == [1]


def test_without_a_compiler_steps_run_eagerly(room, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    program = room.compile(lambda leaves: StepValues((torch.ones(()),), ()), [])
    assert program.kind == EAGER
    assert "install g++" in program.reason


def test_a_torch_module_inside_keras_runs_eagerly_with_all_its_state(
    room, gradient, batches
):
    model = layers.TorchModuleWrapper(torch.nn.Linear(3, 1))
    optimizer = adam()

    def step(leaves):
        loss, gradients = gradient(
            lambda: keras.ops.mean(model(leaves[0]) ** 2), model.trainable_variables
        )
        optimizer.apply(gradients, model.trainable_variables)
        return StepValues((loss,), ())

    before = [v.value.detach().clone() for v in model.trainable_variables]
    program = room.compile(step, [LeafSpec((2, 3), "float32")])
    assert program.kind == EAGER
    for variable, value in zip(model.trainable_variables, before, strict=True):
        assert torch.equal(variable.value, value)
    found = {id(v) for v in program.variables}
    assert {id(v) for v in optimizer.variables} <= found
    losses = program.run(
        [batches(3, leaves=[np.ones((3, 2, 3), "float32")])], None
    ).every[0]
    assert losses[2] < losses[0]


def test_a_result_that_a_variable_has_as_its_new_value_keeps_its_own(
    room: AbstractBackend, batches: type[Any]
) -> None:
    numbers = keras.Variable(np.zeros(3), trainable=False)

    def step(leaves: Any) -> StepValues:
        numbers.assign(numbers + 1.0)
        return StepValues((keras.ops.copy(numbers.value)[1],), ())

    program = room.compile(step, [])
    values = program.run([batches(5)], None)

    assert values.every[0].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_threads_make_their_graphs_one_after_the_other(
    room: AbstractBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way: list[None] = []
    most: list[int] = []

    def trace(*_: Any) -> Any:
        under_way.append(None)
        most.append(len(under_way))
        time.sleep(0.2)
        under_way.pop()
        raise CannotTrace("it is none")

    monkeypatch.setattr(tracing, "trace", trace)

    def compile_one(_: int) -> str:
        def step(leaves: Any) -> StepValues:
            return StepValues((leaves[0] * 2.0,), ())

        return room.compile(step, [LeafSpec((), "float32")], eager=False).kind

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(compile_one, range(2))) == [EAGER, EAGER]
    assert most == [1, 1]
