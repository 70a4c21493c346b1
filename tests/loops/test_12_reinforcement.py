"""Loop 12: reinforcement learning, where the data depend on the model."""

import keras
import numpy as np
import pytest

import ownloop as ol


@pytest.mark.in_turn
def test_off_policy_one_compiled_step_at_a_time():
    policy = keras.Variable(np.zeros(3, "float32"))
    target = keras.Variable(np.zeros(3, "float32"), trainable=False)
    optimizer = keras.optimizers.SGD(0.5)
    rewards = np.array([0.0, 1.0, 0.5], "float32")
    draw = np.random.default_rng(0)
    buffer: list[tuple[int, float]] = []

    def dqn_step(actions, reward):
        with ol.GradientTape() as tape:
            value = keras.ops.take(policy, actions)
            loss = keras.ops.mean((value - reward - 0.5 * keras.ops.max(target)) ** 2)
        optimizer.apply_gradients([(tape.gradient(loss, policy), policy)])
        return {"loss": loss, "best": keras.ops.max(policy)}

    def act() -> int:
        if draw.random() < 0.5:
            return int(draw.integers(3))
        return int(keras.ops.convert_to_numpy(policy.value).argmax())

    loop = ol.Loop(policy=policy, target=target, optimizer=optimizer, observers=[])
    for epoch in loop.epochs(15):
        for _ in range(10):
            action = act()
            buffer.append((action, rewards[action]))
            chosen = [buffer[i] for i in draw.integers(len(buffer), size=16)]
            values = epoch.step(
                dqn_step,
                np.array([a for a, _ in chosen]),
                np.array([r for _, r in chosen]),
            )
        target.assign(policy.value)

    assert loop.compilations == {"dqn_step": 1}
    assert loop.step == 150
    assert len(loop.history.steps["train_loss"]) == 150
    assert values.loss == loop.history.steps["train_loss"][-1]
    # The calls of one epoch are one pass; their mean is its row.
    per_epoch = loop.history.steps["train_loss"].reshape(15, 10).mean(axis=1)
    np.testing.assert_allclose(loop.history["train_loss"], per_epoch, rtol=1e-6)
    # Discounted by half, the best action is worth 1 / (1 - 0.5).
    learnt = keras.ops.convert_to_numpy(policy.value)
    assert learnt.argmax() == 1
    np.testing.assert_allclose(learnt[1], 2.0, atol=0.1)


@pytest.mark.in_turn
def test_on_policy_rollouts_of_any_length_share_one_program(listener):
    policy = keras.Variable(np.zeros(2, "float32"))
    optimizer = keras.optimizers.SGD(0.2)
    draw = np.random.default_rng(1)

    def rollout(length: int) -> ol.Batches:
        logits = keras.ops.convert_to_numpy(policy.value)
        odds = np.exp(logits) / np.exp(logits).sum()
        actions = draw.choice(2, size=length, p=odds)
        return ol.Batches((actions, actions * 1.0), batch_size=4, drop_remainder=True)

    def learn(actions, reward):
        with ol.GradientTape() as tape:
            log_odds = keras.ops.log_softmax(policy)
            loss = -keras.ops.mean(keras.ops.take(log_odds, actions) * reward)
        optimizer.apply_gradients([(tape.gradient(loss, policy), policy)])
        return {"loss": loss, "reward": keras.ops.mean(reward)}

    loop = ol.Loop(policy=policy, optimizer=optimizer, observers=[listener])
    for epoch in loop.epochs(12):
        epoch.train(learn, rollout(17 + 5 * epoch.number), every=3).run()

    assert listener.notices == ["compiling learn"]
    assert loop.compilations == {"learn": 1}
    assert loop.history["train_reward"][-1] > loop.history["train_reward"][0]
    assert loop.step == sum((17 + 5 * n) // 4 for n in range(1, 13))
