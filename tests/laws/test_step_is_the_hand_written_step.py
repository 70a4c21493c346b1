"""Law 5: the compiled step is the hand-written step.

The job (784-512-256-128-10, Adam 1e-4, batches of 32 real digits), next to a loop that
the framework's users would write by hand and that shares nothing with ownloop. Weights
and batches are equal. Free-running, the first losses agree; later float32 training is
chaotic, so at 25 states along a run both take one step from the same state and batch.

Run as a command, with a file of states and a file for results, this module takes those
single steps on the backend in KERAS_BACKEND; that is how three backends are compared.
"""

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import ownloop as ol

SIZES = (784, 512, 256, 128, 10)
RATE = 1e-4
FREE, STATES, STEPS = 20, 25, 300
BETWEEN = STEPS // STATES
LOSS_FREE, LOSS_ONE, GRADIENT = 1e-5, 1e-6, 1e-5
BACKENDS = ("jax", "tensorflow", "torch")


def first_weights():
    """Kernels and biases from NumPy: Keras' initializers differ between backends."""
    generator = np.random.default_rng(0)
    weights = []
    for inputs, outputs in itertools.pairwise(SIZES):
        limit = np.sqrt(6 / (inputs + outputs))
        weights.append(generator.uniform(-limit, limit, (inputs, outputs)))
        weights.append(np.zeros(outputs))
    return [w.astype("float32") for w in weights]


def host(value):
    """A NumPy copy of a variable or tensor, without NumPy's word on old protocols."""
    value = value.value if isinstance(value, keras.Variable) else value
    value = value.detach() if hasattr(value, "detach") else value
    return np.array(value.numpy() if hasattr(value, "numpy") else value)


def digits():
    """The first 300 batches of real digits, in the order that the loop takes them."""
    (x, y), _ = ol.datasets.mnist()
    count = 32 * STEPS
    x = x[:count].reshape(-1, 784).astype("float32") / 255
    return x, y[:count].astype("int32")


class Job:
    """The job in ownloop, with a way to put a state in and to get one out."""

    def __init__(self):
        layers = [keras.layers.Dense(n, activation="relu") for n in SIZES[1:-1]]
        layers.append(keras.layers.Dense(SIZES[-1]))
        self.model = keras.Sequential([keras.Input((784,)), *layers])
        self.optimizer = keras.optimizers.Adam(RATE)
        self.optimizer.build(self.model.trainable_variables)
        self.model.set_weights(first_weights())
        loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model, optimizer = self.model, self.optimizer

        def forward(x, y):
            with ol.GradientTape() as tape:
                loss = loss_fn(y, model(x, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(
                zip(gradients, model.trainable_variables, strict=True)
            )
            return loss, gradients

        def train_step(x, y):
            return {"loss": forward(x, y)[0]}

        def shown_step(x, y):
            loss, gradients = forward(x, y)
            return {"loss": loss} | {
                str(i): ol.last(g) for i, g in enumerate(gradients)
            }

        self.train_step, self.shown_step = train_step, shown_step

    def state(self):
        slots = [v for v in self.optimizer.variables if v.path.endswith("momentum")]
        speeds = [v for v in self.optimizer.variables if v.path.endswith("velocity")]
        variables = (*self.model.weights, *slots, *speeds, self.optimizer.iterations)
        assert len(variables) == 3 * 2 * (len(SIZES) - 1) + 1
        return variables

    def read(self):
        return [host(variable) for variable in self.state()]

    def write(self, values):
        for variable, value in zip(self.state(), values, strict=True):
            variable.assign(value)


def run_job(x, y):
    """Runs 300 steps; returns every loss, and the states along the way."""
    job = Job()
    loop = ol.Loop(model=job.model, optimizer=job.optimizer, observers=())
    data = ol.Batches((x, y), batch_size=32)
    states, losses = [job.read()], []
    for epoch in loop.epochs(1):
        for chunk in epoch.train(job.train_step, data, every=BETWEEN):
            losses.extend(chunk.steps.loss)
            states.append(job.read())
    return np.array(losses), states[:STATES]


def single_steps(states, x, y):
    """Takes one compiled step from each state; returns losses and flat gradients."""
    job = Job()
    loop = ol.Loop(observers=())
    losses, gradients = [], []
    for epoch in loop.epochs(1):
        for i, state in enumerate(states):
            job.write(state)
            values = epoch.step(job.shown_step, *batch_at(i, x, y))
            losses.append(values.loss)
            arrays = [values[str(k)].ravel() for k in range(2 * (len(SIZES) - 1))]
            gradients.append(np.concatenate(arrays))
    return np.array(losses), np.array(gradients)


def batch_at(i, x, y):
    rows = slice(32 * BETWEEN * i, 32 * (BETWEEN * i + 1))
    return x[rows], y[rows]


class ByHandJax:
    """The same job in plain JAX: a jitted `value_and_grad`, and Adam by hand."""

    def __init__(self):
        import jax
        import jax.numpy as jnp

        def loss_of(weights, x, y):
            for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
                x = jnp.maximum(x @ kernel + bias, 0)
            logits = x @ weights[-2] + weights[-1]
            logits = logits - logits.max(axis=1, keepdims=True)
            chosen = logits[jnp.arange(len(y)), y]
            return jnp.mean(jnp.log(jnp.exp(logits).sum(axis=1)) - chosen)

        @jax.jit
        def step(weights, first, second, count, x, y):
            loss, gradients = jax.value_and_grad(loss_of)(weights, x, y)
            rate = RATE * jnp.sqrt(1 - 0.999 ** (count + 1)) / (1 - 0.9 ** (count + 1))
            first = [m + (g - m) * 0.1 for m, g in zip(first, gradients, strict=True)]
            second = [
                v + (g * g - v) * 0.001 for v, g in zip(second, gradients, strict=True)
            ]
            weights = [
                w - rate * m / (jnp.sqrt(v) + 1e-7)
                for w, m, v in zip(weights, first, second, strict=True)
            ]
            return loss, gradients, weights, first, second, count + 1

        self._step = step

    def step(self, state, x, y):
        n = len(state) // 3
        state = [np.asarray(value) for value in state]
        parts = state[:n], state[n : 2 * n], state[2 * n : 3 * n]
        loss, gradients, *parts, count = self._step(*parts, np.float32(state[-1]), x, y)
        new = [np.asarray(value) for part in parts for value in part]
        return float(loss), gradients, [*new, int(count)]


class ByHandTensorFlow:
    """The textbook's loop: Keras layers, eager, with `tf.GradientTape`."""

    def __init__(self):
        self._job = Job()

    def step(self, state, x, y):
        import tensorflow as tf

        model, optimizer = self._job.model, self._job.optimizer
        self._job.write(state)
        loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        with tf.GradientTape() as tape:
            logits = model(tf.constant(x), training=True)
            loss = loss_fn(tf.constant(y), logits)
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        return float(loss), gradients, self._job.read()


class ByHandTorch:
    """The same job in plain PyTorch: autograd, and Adam by hand."""

    def step(self, state, x, y):
        import torch

        n = len(state) // 3
        tensors = [torch.tensor(value) for value in state[:-1]]
        weights, first, second = (tensors[i * n : (i + 1) * n] for i in range(3))
        for weight in weights:
            weight.requires_grad_()
        hidden = torch.tensor(x)
        for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            hidden = torch.relu(hidden @ kernel + bias)
        logits = hidden @ weights[-2] + weights[-1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(y).long())
        gradients = torch.autograd.grad(loss, weights)
        count = int(state[-1])
        rate = RATE * (1 - 0.999 ** (count + 1)) ** 0.5 / (1 - 0.9 ** (count + 1))
        with torch.no_grad():
            for w, m, v, g in zip(weights, first, second, gradients, strict=True):
                m += (g - m) * 0.1
                v += (g * g - v) * 0.001
                w -= rate * m / (v.sqrt() + 1e-7)
        new = [tensor.detach().numpy() for tensor in tensors]
        return float(loss.detach()), gradients, [*new, count + 1]


BY_HAND = {"jax": ByHandJax, "tensorflow": ByHandTensorFlow, "torch": ByHandTorch}


@pytest.fixture(scope="module")
def job_run():
    x, y = digits()
    losses, states = run_job(x, y)
    return x, y, losses, states


def test_first_losses_of_a_free_run_are_those_of_the_hand_written_loop(
    backend, job_run
):
    x, y, losses, states = job_run
    by_hand, state, expected = BY_HAND[backend](), states[0], []
    for i in range(FREE):
        rows = slice(32 * i, 32 * (i + 1))
        loss, _, state = by_hand.step(state, x[rows], y[rows])
        expected.append(loss)
    worst = np.abs(losses[:FREE] - expected).max()
    print(f"\n{backend} and by hand, {FREE} free steps: losses differ by {worst:.2g}")
    assert losses.shape == (STEPS,)
    assert losses[-50:].mean() < losses[:50].mean() / 2
    assert worst <= LOSS_FREE


def test_single_steps_along_a_run_are_those_of_the_hand_written_loop(backend, job_run):
    x, y, losses, states = job_run
    own_losses, own_gradients = single_steps(states, x, y)
    by_hand, hand_losses, hand_gradients = BY_HAND[backend](), [], []
    for i, state in enumerate(states):
        loss, gradients, _ = by_hand.step(state, *batch_at(i, x, y))
        hand_losses.append(loss)
        arrays = [host(gradient).ravel() for gradient in gradients]
        hand_gradients.append(np.concatenate(arrays))
    check_single_steps(
        f"{backend} and by hand",
        (own_losses, own_gradients),
        (np.array(hand_losses), np.array(hand_gradients)),
    )
    # The step that also shows its gradients takes the same steps as the plain one.
    assert np.abs(own_losses - losses[::BETWEEN][:STATES]).max() <= LOSS_ONE


def check_single_steps(who, one, other):
    loss = np.abs(one[0] - other[0]).max()
    distances = np.linalg.norm(one[1] - other[1], axis=1)
    relative = (distances / np.linalg.norm(one[1], axis=1)).max()
    print(
        f"\n{who}, {STATES} single steps: losses differ by {loss:.2g}, gradients by "
        f"{distances.max():.2g} in norm ({relative:.2g} of their norm)"
    )
    assert len(one[0]) == len(other[0]) == STATES
    assert loss <= LOSS_ONE
    assert distances.max() <= GRADIENT


def test_three_backends_take_the_same_steps(backend, job_run, tmp_path):
    if backend != "jax":
        pytest.skip("runs once, from the first backend's process")
    missing = [name for name in BACKENDS if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} cannot be imported")
    x, y, losses, states = job_run
    np.savez(tmp_path / "states.npz", *(value for state in states for value in state))
    results = {"jax": (losses, *single_steps(states, x, y))}
    for name in BACKENDS[1:]:
        results[name] = elsewhere(name, tmp_path)
    for one, other in itertools.combinations(BACKENDS, 2):
        free = np.abs(results[one][0][:FREE] - results[other][0][:FREE]).max()
        print(f"\n{one} and {other}, {FREE} free steps: losses differ by {free:.2g}")
        assert free <= LOSS_FREE
        check_single_steps(f"{one} and {other}", results[one][1:], results[other][1:])


def elsewhere(name, folder):
    """Runs the job, and the single steps from given states, on another backend."""
    command = [sys.executable, __file__, "states.npz", f"{name}.npz"]
    environment = os.environ | {"KERAS_BACKEND": name}
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300)
    with np.load(folder / f"{name}.npz") as found:
        return found["free"], found["losses"], found["gradients"]


def main(given, wanted):
    with np.load(given) as found:
        values = [found[f"arr_{i}"] for i in range(len(found.files))]
    size = len(values) // STATES
    states = [values[i * size : (i + 1) * size] for i in range(STATES)]
    x, y = digits()
    free, _ = run_job(x[: 32 * BETWEEN * 2], y[: 32 * BETWEEN * 2])
    losses, gradients = single_steps(states, x, y)
    np.savez(wanted, free=free, losses=losses, gradients=gradients)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
