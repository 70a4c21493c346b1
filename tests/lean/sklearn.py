"""Stands before the real one in the children of tests.

Keras imports scikit-learn wherever it is installed, as it must be here for the examples
alone. That takes half a second, for each of some two hundred children.
"""

raise ModuleNotFoundError("children of tests do without scikit-learn", name="sklearn")
