"""The textbook loop on TensorFlow with its step under tf.function."""

import tensorflow as tf

from contenders import textbook
from contenders.shared import serve

textbook.train_step = tf.function(textbook.train_step)

serve(textbook.epoch)
