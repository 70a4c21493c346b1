"""TensorFlow: a step becomes one `tf.function` over the variables themselves."""

from ownloop.backends.tensorflow.room import TensorFlow as TensorFlow
