"""Small graphs over variables: made once, with the present values, and let go of."""

import gc
import weakref

import keras
import tensorflow as tf

from ownloop.backends.tensorflow.small_graphs import SmallGraphs


def sums(made):
    def add(values):
        made.append(len(values))
        return tf.add_n([tf.reduce_sum(value) for value in values])

    return SmallGraphs(add)


def test_a_graph_is_made_once_for_the_same_variables():
    made = []
    graphs = sums(made)
    a, b = keras.Variable([1.0, 2.0]), keras.Variable([3.0])
    for _ in range(3):
        assert float(graphs.over([a, b])()) == 6.0
    assert made == [2]
    assert float(graphs.over([b])()) == 3.0
    assert made == [2, 1]


def test_a_graph_sees_the_present_values():
    graphs = sums([])
    a = keras.Variable([1.0, 2.0])
    seen = []
    for value in ([1.0, 1.0], [5.0, 6.0]):
        a.assign(value)
        seen.append(float(graphs.over([a])()))
    assert seen == [2.0, 11.0]


def test_a_graph_keeps_no_variable_alive_and_goes_with_the_first():
    made = []
    graphs = sums(made)
    a, b = keras.Variable([1.0]), keras.Variable([2.0])
    graphs.over([a, b])()
    gone = weakref.ref(a)
    del a
    gc.collect()
    assert gone() is None
    assert not graphs._graphs
    assert float(b.value[0]) == 2.0
