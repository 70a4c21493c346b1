"""A power cut at any instant leaves a run that can be begun again, without a loss.

`make faults` cuts the power of more traces in which a process was killed before.
"""

import pytest

from faults.run_crashes import count_run_crashes, record_killed_runs, record_run
from faults.run_mutants import RUN_MUTANTS, count_run_mutants, count_run_restarts


@pytest.fixture(scope="module")
def trace():
    return record_run()


def test_the_log_and_the_history_are_there_wherever_a_checkpoint_is(trace):
    count = count_run_crashes(trace)
    assert count.states > 1000
    assert count.bad == 0, count


def test_each_line_of_the_order_is_missed_where_it_is_left_out_or_moved(trace):
    assert count_run_mutants(trace, RUN_MUTANTS).survivors == ()


def test_what_a_killed_process_had_not_made_durable_the_next_one_does():
    traces = list(record_killed_runs(stride=9))
    assert sum(count_run_crashes(trace).bad for trace in traces) == 0
    assert count_run_restarts(traces).survivors == ()
