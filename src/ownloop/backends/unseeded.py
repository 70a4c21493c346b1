"""What Keras draws from where a random operation was given no seed.

A step that is traced is seen to use it, as it is seen to use any variable. One that
runs as plain Python is not, and Keras has no public word for it: this is the one place
that knows where it lies.
"""

import keras
from keras.src.backend.common import global_state

_NAME = "global_seed_generator"


def unseeded_state() -> tuple[keras.Variable, ...]:
    """Returns the state of Keras' own generator, once something has drawn from it.

    Example:
        >>> keras.utils.set_random_seed(0)
        >>> before = unseeded_state()
        >>> number = keras.random.normal(())
        >>> len(before), len(unseeded_state())
        (0, 1)
    """
    generator = global_state.get_global_attribute(_NAME)
    return () if generator is None else (generator.state,)
