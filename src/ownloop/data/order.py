"""The order of the examples: a pure function of (seed, epoch), and nothing else.

No state is kept, so resuming is arithmetic: the order of any epoch can be asked for
at any time, on any machine. It is defined here from the raw bits of Philox, whose
stream NumPy keeps fixed; `Generator.permutation` may change between versions of
NumPy, and with it every run that was to be continued.
"""

import numpy as np


def permutation(examples: int, *, seed: int, epoch: int) -> np.ndarray:
    """Returns a shuffled order of `examples` row numbers.

    Each row draws a 64-bit key of which the lowest bits are replaced by its own row
    number. Sorting the keys shuffles the rows, and as no two keys are equal, every
    sorting algorithm gives the same answer.

    Args:
        examples: The number of rows, at least 0.
        seed: 0 to 2**64 - 1.
        epoch: 0 to 2**64 - 1. Each epoch has its own order.

    Returns:
        The numbers 0 to `examples - 1`, each once; int32 where they fit, else int64.

    Example:
        >>> permutation(5, seed=1, epoch=1).tolist()
        [0, 3, 4, 2, 1]

    Source:
        Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox).
    """
    key = np.array([seed, epoch], dtype=np.uint64)
    keys = np.random.Philox(key=key).random_raw(examples)
    row_bits = np.uint64(max(examples - 1, 0).bit_length())
    row_mask = (np.uint64(1) << row_bits) - np.uint64(1)
    keys = (keys & ~row_mask) | np.arange(examples, dtype=np.uint64)
    keys.sort()
    return (keys & row_mask).astype(row_type(examples))


def unshuffled(examples: int) -> np.ndarray:
    """Returns the rows 0 to `examples - 1` in their own order.

    Example:
        >>> unshuffled(3).tolist()
        [0, 1, 2]
    """
    return np.arange(examples, dtype=row_type(examples))


def row_type(examples: int) -> type[np.signedinteger]:
    """Returns the dtype of row numbers: int32 where they fit, else int64.

    Example:
        >>> row_type(60_000).__name__, row_type(2**31 + 1).__name__
        ('int32', 'int64')
    """
    return np.int32 if examples <= 2**31 else np.int64
