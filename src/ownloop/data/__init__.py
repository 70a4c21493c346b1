"""Sources of batches: which batch comes next, and in what shape a device gets it.

    Batches       arrays in memory; order = f(seed, epoch)
    Signature     what two batches must share to share a compiled program
    ResidentFeed  the batches of a pass as row numbers into resident arrays
    StreamFeed    the batches of a pass read ahead from any iterable, stacked
    GivenFeed     batches handed in one by one
    NoDataFeed    a number of steps that take no batch
    FromEpoch     the batches of memory-mapped arrays, to be read as a stream
    Bookmark      where a stream was read to
    Marks         notes bookmarks, and reads a stream again up to one
    Openings      how often a stream was opened in a run
    ScriptDraws   what a script draws while its stream is at rest
    StreamGenerators  the random generators that a stream may draw from
    Segment       what a feed hands out: consecutive batches of one signature

This room knows NumPy and optree, and no framework: a tensor is known by what it can do.
"""

from ownloop.data.batches import Batches
from ownloop.data.bookmark import Bookmark
from ownloop.data.feed import AbstractFeed, ResidentFeed, Segment
from ownloop.data.generators import StreamGenerators
from ownloop.data.given import GivenFeed, NoDataFeed
from ownloop.data.mapped import FromEpoch, is_mapped
from ownloop.data.marks import Marks
from ownloop.data.openings import Openings
from ownloop.data.signature import Signature
from ownloop.data.stream import StreamFeed
from ownloop.data.who_draws import ScriptDraws

__all__ = [
    "AbstractFeed",
    "Batches",
    "Bookmark",
    "FromEpoch",
    "GivenFeed",
    "Marks",
    "NoDataFeed",
    "Openings",
    "ResidentFeed",
    "ScriptDraws",
    "Segment",
    "Signature",
    "StreamFeed",
    "StreamGenerators",
    "is_mapped",
]
