"""A power cut leaves a run that can go on, with the log and history of its state."""

import os

import pytest

from faults.run_crashes import (
    RunCrashCount,
    count_run_crashes,
    record_killed_runs,
    record_run,
)
from faults.run_mutants import RUN_MUTANTS, count_run_mutants, count_run_restarts
from ownloop.folder import Log, layout
from ownloop.history import database

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX is what is modelled")


def test_a_power_cut_at_any_moment_leaves_log_and_history_up_to_each_checkpoint():
    count = count_run_crashes(record_run())
    print(count)
    assert count.states > 2_000
    assert count.refused == count.lost == count.short == 0


@pytest.mark.parametrize("name", RUN_MUTANTS)
def test_no_line_of_the_order_can_be_missed(name):
    count = count_run_mutants(record_run(), {name: RUN_MUTANTS[name]})
    assert count.survivors == ()


def test_a_power_cut_after_a_kill_leaves_them_too():
    traces = list(record_killed_runs(stride=12))
    count = sum(map(count_run_crashes, traces), RunCrashCount())
    print(len(traces), "kills", count)
    assert len(traces) > 14
    assert count.states > 4_000
    assert count.refused == count.lost == count.short == 0
    assert count_run_restarts(traces).survivors == ()


@pytest.mark.parametrize(
    ("owner", "name", "kind"),
    [
        (Log, "sync", "short"),
        (database, "wait_for_disk", "short"),
        (layout, "_sync_folder", "refused"),
    ],
)
def test_it_would_show_if_the_code_itself_left_a_line_out(
    monkeypatch, owner, name, kind
):
    monkeypatch.setattr(owner, name, lambda *_: None)
    count = count_run_crashes(record_run(), enough=1)
    assert getattr(count, kind) == count.bad == 1


def test_a_trace_holds_the_calls_of_every_file():
    calls = record_run()
    synced = {call.path.name for call in calls if call.verb == "sync"}
    assert {".run.json.new", ".history.db.new", "log.txt", "history.db"} <= synced
    assert [call.verb for call in calls].count("acknowledge") == 5
