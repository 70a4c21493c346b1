"""Guards: what is known of a step that went wrong, and how to see where it began.

    Where      which step it was: of the run, of the epoch, of its pass
    Evidence   the step's batch, what it logged, and the state before it
    Replay     the same step once more, eagerly, with each value looked at

This room looks at steps and their state. It decides nothing: when a step is checked,
and what follows, belongs to the loop.
"""

from ownloop.guards.evidence import Evidence as Evidence
from ownloop.guards.evidence import Kept as Kept
from ownloop.guards.evidence import Spoilt as Spoilt
from ownloop.guards.evidence import Where as Where
from ownloop.guards.replay import replay as replay
from ownloop.guards.report import Finding as Finding
from ownloop.guards.report import Report as Report
from ownloop.guards.report import Stage as Stage
