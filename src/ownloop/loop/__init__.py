"""The loop: the order of things in time, written once for every backend.

    Loop     a run: its step, its epochs, its state, its history
    Epoch    one time through the user's body
    Pass     some batches through a step, in chunks
    Chunk    what came back between two looks
    Values   names and numbers

This room owns when things happen. It knows no backend's own room, only the contract and
what holds for Keras on all of them (scopes, births, draws without a seed), and no file
format; what it has to tell goes to observers as frozen events.
"""

from ownloop.loop.chunk import Chunk as Chunk
from ownloop.loop.epoch import Epoch as Epoch
from ownloop.loop.loop import Loop as Loop
from ownloop.loop.training import Pass as Pass
from ownloop.loop.values import Values as Values
