"""What the state of a run is, under names that another process finds again.

Owns the names of variables, where in the user's code a run stands, what it ran on, and
the generators of random numbers. Writes no file (`checkpoints` and `folder` do), and
decides neither when to save nor what happens next (the loop does).
"""
