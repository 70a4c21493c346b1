"""The contenders of the benchmark: one way to train a file, for each workload.

    workloads   what is trained: data, batch size, networks in Keras, losses
    in_jax      the same networks in plain JAX
    in_torch    the same networks in plain PyTorch
    shared      how a contender is asked for an epoch

Each is started as `python -m contenders.ours digits` with `KERAS_BACKEND` set, and runs
one epoch for each line on standard input.
"""
