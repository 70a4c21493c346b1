"""`ownloop.GradientTape` against native `tf.GradientTape`, case by case.

Each case is one function over a dialect `t`, whose `t.GradientTape` is TensorFlow's own
or ours; all else in it is Keras. A process of its own runs the cases on TensorFlow's
tape (`oracle`), so that what is compared with is TensorFlow's live answer and no file.

    case      what a case is: inputs, body, and what is known about it
    cases/    the cases, one file per category
    dialect   the words a case may use; ours
    native    the same words on TensorFlow's tape
    outcome   what came out, as JSON, and the comparison of two outcomes
    runner    eagerly, one case; compiled, many cases in one step
    oracle    the process that asks TensorFlow
    report    the table over the three backends, from pytest's XML files
"""
