"""What is torn or altered is never loaded; what was acknowledged is never lost."""

import os

import pytest

from faults.corruption import count_corruptions
from faults.crashes import CrashCount, count_crashes, record, record_kills
from faults.disks import Call
from faults.failures import count_failures
from faults.full_disk import fill_a_file_system, limit_the_size_of_files
from faults.hostile import MEMORY_LIMIT, count_hostile
from faults.kills import count_kills
from faults.mutants import EQUIVALENT, MUTANTS, RESTARTS, count_mutants, count_restarts
from ownloop.checkpoints import reading

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX is what is modelled")


def test_a_process_killed_at_any_call_leaves_the_one_before_or_the_new_one():
    count = count_kills()
    print(count)
    assert count.points > 60
    assert count.before > 0
    assert count.after > 0
    assert count.before + count.after == count.points
    assert count.other == count.damaged == count.stuck == 0


def test_a_power_cut_at_any_moment_loses_nothing_acknowledged_and_tears_nothing():
    count = count_crashes(record())
    print(count)
    assert count.states > 400
    assert count.torn == count.lost == count.broken == 0


@pytest.mark.parametrize("name", MUTANTS)
def test_no_line_of_the_protocol_can_be_missed(name):
    count = count_mutants(record(), {name: MUTANTS[name]})
    assert count.survivors == ()


def test_a_power_cut_after_a_kill_loses_nothing_either():
    traces = list(record_kills())
    count = sum(map(count_crashes, traces), CrashCount())
    print(len(traces), "kills", count)
    assert len(traces) > 30
    assert count.states > 10_000
    assert count.torn == count.lost == count.broken == 0
    assert count_restarts(traces, RESTARTS).survivors == ()


@pytest.mark.parametrize("name", EQUIVALENT)
def test_what_nothing_depends_on_is_known(name):
    assert count_crashes(EQUIVALENT[name](record())).bad == 0


def test_the_model_would_show_a_torn_checkpoint_if_the_hashes_were_not_checked(
    monkeypatch,
):
    monkeypatch.setattr(reading, "_read_sealed", _read_unsealed)
    unsynchronised = MUTANTS["state.safetensors is not"](record())
    assert count_crashes(unsynchronised, enough=200).torn > 0


def test_the_damages_would_be_loaded_if_the_hashes_were_not_checked(monkeypatch):
    monkeypatch.setattr(reading, "_read_sealed", _read_unsealed)
    count = count_corruptions()
    assert len(count.silent) > 100


def _read_unsealed(disk, folder, found, file):
    return disk.read(folder / file, found.files[file].bytes)


def test_a_disk_that_fails_at_any_call_loses_nothing_and_is_told_of():
    count = count_failures()
    print(count)
    assert count.points > 200
    assert count.survived == count.points
    assert count.silent == 0
    assert count.told > 0.9 * count.points


def test_a_full_disk_is_told_with_path_and_bytes_and_loses_nothing():
    result = fill_a_file_system()
    if result is None:
        pytest.skip("no file system can be mounted here")
    assert "No space left on device (/" in result.message
    assert "state.safetensors). Expected room for 1048" in result.message
    assert " are free. Make room" in result.message
    assert (result.kept, result.left, result.went_on) == (True, ("step-1",), True)


def test_a_file_that_may_not_grow_is_told_with_path_and_bytes_and_loses_nothing():
    result = limit_the_size_of_files()
    assert "File too large (/" in result.message
    assert "Expected room for 1048" in result.message
    assert (result.kept, result.left, result.went_on) == (True, ("step-1",), True)


def test_every_change_of_a_byte_and_every_moved_file_is_detected():
    count = count_corruptions()
    print(count)
    assert count.cases >= 600
    assert count.silent == ()
    assert count.detected == count.cases


def test_hostile_files_are_refused_without_opening_others_or_running_anything():
    count = count_hostile()
    print(count)
    assert count.cases >= 250
    assert count.accepted == ()
    assert count.refused == count.cases
    assert count.opened == ()
    assert count.ran == ()
    assert count.peak < MEMORY_LIMIT, count.greedy


def test_a_trace_holds_the_calls_that_matter():
    verbs = {call.verb for call in record()}
    assert {"sync", "sync_folder", "rename", "acknowledge", "forget"} <= verbs
    assert all(isinstance(call, Call) for call in record())
