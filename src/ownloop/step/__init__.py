"""The step: what a user's function for one batch takes, returns, and reads.

This room turns a plain Python function into the flat form that a backend can compile,
and knows nothing of data sets or files; of loops only what a step may read of them
(`_OURS` in `walk.py`).
"""

from ownloop.step.branch import cond as cond
from ownloop.step.call import NamedMetric as NamedMetric
from ownloop.step.call import StepCall as StepCall
from ownloop.step.drawing import states_of as states_of
from ownloop.step.effects import Watched as Watched
from ownloop.step.effects import counted as counted
from ownloop.step.effects import left_behind as left_behind
from ownloop.step.flags import flags_of as flags_of
from ownloop.step.flags import put_flags as put_flags
from ownloop.step.functions import code_of as code_of
from ownloop.step.functions import functions_of as functions_of
from ownloop.step.outcome import Kind as Kind
from ownloop.step.outcome import Logged as Logged
from ownloop.step.outcome import last as last
from ownloop.step.results import RunningValue as RunningValue
from ownloop.step.settings import in_both as in_both
from ownloop.step.settings import settings_of as settings_of
from ownloop.step.surroundings import Surroundings as Surroundings
from ownloop.step.wording import as_json as as_json
