"""Keras layers and models under a tape."""

import keras

from conformance.case import built, case, tensor, variable

ops, layers = keras.ops, keras.layers

NOT_CONTIGUOUS = {
    "torch": "PyTorch's own kernel fails without a tape too: 'grad_weight needs to be "
    "contiguous'"
}

ROWS = [[1.0, -2.0, 0.5], [0.3, 0.8, -0.7]]
SEQUENCE = [
    [[1.0, -2.0], [0.5, 0.3], [0.8, -0.7]],
    [[0.2, 0.4], [-1.0, 0.6], [0.0, 1.0]],
]
IMAGE = [[[[0.1], [0.9], [-0.4]], [[0.7], [-0.2], [0.5]], [[0.3], [0.6], [-0.8]]]]


def of_all(t, model, *inputs, **options):
    """Returns the output, and its gradients for the weights and the first input."""
    with t.GradientTape() as tape:
        tape.watch(inputs[0])
        output = model(*inputs, **options)
        loss = ops.sum(ops.square(output))
    sources = {"weights": model.trainable_variables, "input": inputs[0]}
    return [output, tape.gradient(loss, sources)]


@case(model=built(lambda: layers.Dense(2), (2, 3)), x=tensor(ROWS))
def dense(t, model, x):
    return of_all(t, model, x)


@case(
    model=built(lambda: layers.Dense(2, "gelu"), (2, 3)),
    x=tensor(ROWS),
)
def dense_of_second_order(t, model, x):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            inner.watch(x)
            loss = ops.sum(model(x))
        first = inner.gradient(loss, x)
        size = ops.sum(ops.square(first))
    return outer.gradient(size, model.trainable_variables)


@case(model=built(lambda: layers.Dropout(0.5), (2, 3)), x=tensor(ROWS))
def dropout_while_not_training(t, model, x):
    return of_all(t, model, x, training=False)


@case(model=built(lambda: layers.Dropout(0.0), (2, 3)), x=tensor(ROWS))
def dropout_of_nothing(t, model, x):
    return of_all(t, model, x, training=True)


@case(model=built(lambda: layers.Dropout(0.5, seed=1), (2, 3)), x=tensor(ROWS))
def dropout_is_the_same_in_value_and_gradient(t, model, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        output = model(x, training=True)
    factor = tape.gradient(output, x)
    return ops.sum(ops.abs(output - factor * x))


@case(
    model=built(layers.BatchNormalization, (2, 3)),
    x=tensor(ROWS),
    rtol=1e-4,
)
def batch_normalization_in_training(t, model, x):
    # The gradient for the input is a difference of nearly equal numbers.
    found = of_all(t, model, x, training=True)
    return [found, [v + 0.0 for v in model.non_trainable_variables]]


@case(model=built(layers.BatchNormalization, (2, 3)), x=tensor(ROWS))
def batch_normalization_in_use(t, model, x):
    found = of_all(t, model, x, training=False)
    return [found, [v + 0.0 for v in model.non_trainable_variables]]


@case(
    model=built(layers.LayerNormalization, (2, 3)),
    x=tensor(ROWS),
    rtol=1e-4,
)
def layer_normalization(t, model, x):
    # The same small differences as in batch normalization.
    return of_all(t, model, x)


@case(
    model=built(lambda: layers.GRU(2), (2, 3, 2)),
    x=tensor(SEQUENCE),
)
def gru(t, model, x):
    return of_all(t, model, x)


@case(
    model=built(lambda: layers.LSTM(2), (2, 3, 2)),
    x=tensor(SEQUENCE),
)
def lstm(t, model, x):
    return of_all(t, model, x)


@case(
    model=built(lambda: layers.LSTM(2, return_sequences=True), (2, 3, 2)),
    x=tensor(SEQUENCE),
)
def lstm_with_all_its_outputs(t, model, x):
    return of_all(t, model, x)


@case(
    model=built(lambda: layers.SimpleRNN(2, unroll=True), (2, 3, 2)),
    x=tensor(SEQUENCE),
)
def a_simple_recurrent_layer(t, model, x):
    return of_all(t, model, x)


@case(
    model=built(lambda: layers.Bidirectional(layers.GRU(2)), (2, 3, 2)),
    x=tensor(SEQUENCE),
)
def a_bidirectional_layer(t, model, x):
    return of_all(t, model, x)


@case(
    model=built(lambda: layers.SimpleRNN(2), (2, 3, 2)),
    x=tensor(SEQUENCE),
)
def a_recurrent_layer_of_second_order(t, model, x):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            inner.watch(x)
            loss = ops.sum(model(x))
        first = inner.gradient(loss, x)
        size = ops.sum(ops.square(first))
    return outer.gradient(size, model.trainable_variables)


@case(
    model=built(lambda: layers.Embedding(5, 2), (2, 3), dtype="int32"),
    n=tensor([[0, 3, 3], [1, 0, 4]], "int32"),
    always_compiled=True,
)
def embedding(t, model, n):
    with t.GradientTape() as tape:
        output = model(n)
        loss = ops.sum(ops.square(output))
    return [output, tape.gradient(loss, model.trainable_variables)]


@case(
    model=built(lambda: layers.MultiHeadAttention(2, 2), (2, 3, 2), (2, 3, 2)),
    x=tensor(SEQUENCE),
)
def attention(t, model, x):
    return of_all(t, model, x, x)


@case(
    model=built(lambda: layers.MultiHeadAttention(1, 2), (2, 3, 2), (2, 3, 2)),
    x=tensor(SEQUENCE),
    y=tensor([[[0.5, 0.5]] * 3] * 2),
)
def attention_with_a_causal_mask(t, model, x, y):
    return of_all(t, model, x, y, use_causal_mask=True)


@case(
    model=built(lambda: layers.Conv2D(2, 2), (1, 3, 3, 1)),
    x=tensor(IMAGE),
)
def convolution(t, model, x):
    return of_all(t, model, x)


@case(
    skipped_on=NOT_CONTIGUOUS,
    model=built(lambda: layers.Conv2DTranspose(2, 2, strides=2), (1, 3, 3, 1)),
    x=tensor(IMAGE),
)
def transposed_convolution(t, model, x):
    return of_all(t, model, x)


@case(
    model=built(lambda: layers.MaxPooling2D(2), (1, 3, 3, 1)),
    x=tensor(IMAGE),
)
def max_pooling(t, model, x):
    return of_all(t, model, x)


def stack():
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, "relu"), layers.Dense(2)]
    )


def model_in_model():
    inputs = keras.Input((3,))
    inner = stack()
    hidden = layers.Dense(3, "tanh")(inputs)
    return keras.Model(inputs, layers.Dense(1)(inner(hidden)))


def shared_layer():
    inputs = keras.Input((3,))
    shared = layers.Dense(3, "tanh")
    return keras.Model(inputs, shared(shared(shared(inputs))))


def two_outputs():
    inputs = keras.Input((3,))
    hidden = layers.Dense(3, "tanh")(inputs)
    return keras.Model(inputs, [layers.Dense(1)(hidden), layers.Dense(2)(hidden)])


@case(model=built(stack), x=tensor(ROWS), always_compiled=True)
def a_sequential_model(t, model, x):
    return of_all(t, model, x)


@case(model=built(model_in_model), x=tensor(ROWS))
def a_model_in_a_model(t, model, x):
    return of_all(t, model, x)


@case(model=built(shared_layer), x=tensor(ROWS))
def a_shared_layer(t, model, x):
    return of_all(t, model, x)


@case(model=built(two_outputs), x=tensor(ROWS))
def one_of_two_outputs(t, model, x):
    with t.GradientTape() as tape:
        first, _ = model(x)
    return tape.gradient(first, model.trainable_variables)


@case(model=built(two_outputs), x=tensor(ROWS))
def both_outputs_as_targets(t, model, x):
    with t.GradientTape() as tape:
        outputs = model(x)
    return tape.gradient(outputs, model.trainable_variables)


@case(model=built(stack), x=tensor(ROWS))
def one_model_called_twice(t, model, x):
    with t.GradientTape() as tape:
        loss = ops.sum(model(x) * model(x * 2.0))
    return tape.gradient(loss, model.trainable_variables)


@case(one=built(stack), two=built(lambda: layers.Dense(3), (2, 2)), x=tensor(ROWS))
def two_models_and_a_gradient_for_one(t, one, two, x):
    with t.GradientTape() as tape:
        loss = ops.sum(ops.square(two(one(x))))
    return tape.gradient(loss, two.trainable_variables)


@case(model=built(stack), x=tensor(ROWS))
def frozen_layers_have_no_trainable_variables(t, model, x):
    model.layers[0].trainable = False
    with t.GradientTape() as tape:
        loss = ops.sum(ops.square(model(x)))
    return tape.gradient(loss, model.trainable_variables)


def mixed(policy="mixed_bfloat16"):
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, "relu", dtype=policy),
            layers.Dense(2, dtype=policy),
        ]
    )


@case(model=built(mixed), x=tensor(ROWS), rtol=5e-2)
def mixed_precision(t, model, x):
    # The bound is bfloat16's: the hidden values have eight bits.
    with t.GradientTape() as tape:
        output = model(x)
        loss = ops.mean(ops.cast(output, "float32"))
    return tape.gradient(loss, model.trainable_variables)


@case(
    model=built(lambda: mixed("mixed_float16")),
    x=tensor(ROWS),
    rtol=1e-2,
)
def mixed_precision_with_a_scaled_loss(t, model, x):
    # The bound is float16's.
    with t.GradientTape() as tape:
        loss = ops.mean(ops.cast(model(x), "float32")) * 128.0
    found = tape.gradient(loss, model.trainable_variables)
    return [gradient / 128.0 for gradient in found]


@case(
    always_compiled=True,
    model=built(lambda: layers.Dense(2, kernel_regularizer="l2"), (2, 3)),
    x=tensor(ROWS),
)
def losses_of_regularization(t, model, x):
    with t.GradientTape() as tape:
        loss = ops.sum(model(x)) + sum(model.losses)
    return tape.gradient(loss, model.trainable_variables)


@case(
    model=built(lambda: layers.ActivityRegularization(l2=0.5), (2, 3)),
    x=tensor(ROWS),
)
def losses_that_a_call_adds(t, model, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.sum(model(x)) + sum(model.losses)
    return tape.gradient(loss, x)


@case(model=built(stack), x=tensor(ROWS), y=tensor([1, 0], "int32"))
def two_steps_of_descent(t, model, x, y):
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = []
    for _ in range(2):
        with t.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        for v, gradient in zip(variables, gradients, strict=True):
            v.assign_sub(0.1 * gradient)
        found.append(loss)
    return [found, [v + 0.0 for v in model.trainable_variables]]


@case(w=variable([[0.5, -1.0], [0.2, 0.4], [1.0, 0.0]]), x=tensor(ROWS))
def a_layer_of_the_users_own(t, w, x):
    class Scaled(layers.Layer):
        def call(self, inputs):
            return ops.tanh(ops.matmul(inputs, w)) * 2.0

    return [*of_all(t, Scaled(), x)]


@case(
    model=built(lambda: layers.SpectralNormalization(layers.Dense(2)), (2, 3)),
    x=tensor(ROWS),
)
def a_layer_that_wraps_another(t, model, x):
    return of_all(t, model, x, training=False)
