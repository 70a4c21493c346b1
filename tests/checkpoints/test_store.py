"""A folder of checkpoints, as long as the disk is well."""

import errno
import json
import os
import threading

import numpy as np
import pytest

from faults.disks import FailingDisk, RecordingDisk
from faults.samples import RUN, bits, sample, save
from ownloop.checkpoints import Checkpoint, Entry, Store
from ownloop.checkpoints.manifest import FILES
from ownloop.errors import CheckpointError


@pytest.fixture
def store(folder):
    return Store(folder, run=RUN)


def test_making_a_store_touches_no_disk(folder):
    disk = RecordingDisk()
    Store(folder, run=RUN, disk=disk)
    assert disk.calls == []


def test_a_checkpoint_comes_back_bit_for_bit(store):
    name = store.commit(sample(3))
    assert name == "step-3"
    assert bits(store.load(name)) == bits(sample(3))
    assert bits(store.newest().checkpoint) == bits(sample(3))
    assert store.meta(name) == sample(3).meta


def test_its_arrays_come_back_in_their_order_and_can_be_written_to(store):
    names = ["b", "a", "c"]
    entries = {name: Entry(np.zeros(2, "float32"), "x") for name in names}
    store.commit(Checkpoint(0, entries, {}))
    loaded = store.load("step-0").tensors
    assert list(loaded) == names
    loaded["a"].array[:] = 1
    assert loaded["b"].array.tolist() == [0, 0]


def test_a_checkpoint_of_nothing_comes_back(store):
    store.commit(Checkpoint(0, {}, {}))
    assert bits(store.load("step-0")) == bits(Checkpoint(0, {}, {}))


def test_a_folder_that_does_not_exist_has_no_checkpoints(store, folder):
    found = store.newest()
    assert (found.name, found.checkpoint, found.refused) == (None, None, ())
    assert store.names() == store.verify() == []
    assert store.prune([]) == []
    assert not folder.exists()


def test_the_newest_is_the_one_with_the_highest_numbers_whatever_the_clock_says(
    store, folder
):
    for step in (9, 9, 10, 100):
        store.commit(sample(step))
    assert store.names() == ["step-9", "step-9.2", "step-10", "step-100"]
    for age, name in enumerate(store.names()):
        os.utime(folder / name, (10**9 - age, 10**9 - age))
    assert store.newest().name == "step-100"


def test_a_checkpoint_names_the_one_before_it(store, folder):
    for step in (1, 2, 2):
        store.commit(sample(step))
    parents = [
        json.loads((folder / name / "MANIFEST.json").read_text())["parent"]
        for name in store.names()
    ]
    assert parents == [None, "step-1", "step-2"]


def test_a_lower_step_is_refused_since_it_would_never_be_the_newest(store):
    store.commit(sample(9))
    with pytest.raises(
        CheckpointError, match=r"step 5 .* where step-9 is. Expected .* Set"
    ):
        store.commit(sample(5))
    store.set_aside("step-9")
    store.commit(sample(5))
    assert store.newest().name == "step-5"


def test_what_is_set_aside_is_kept_and_its_name_is_not_given_again(store, folder):
    store.commit(sample(5))
    store.set_aside("step-5")
    assert store.names() == []
    assert sorted(os.listdir(folder / "broken-step-5")) == sorted(FILES)
    assert store.commit(sample(5)) == "step-5.2"
    store.set_aside("step-5.2")
    assert sorted(os.listdir(folder)) == ["broken-step-5", "broken-step-5.2"]
    assert store.prune([]) == []
    assert len(os.listdir(folder)) == 2


def test_what_is_not_there_cannot_be_loaded_or_set_aside(store):
    with pytest.raises(
        CheckpointError, match=r"'step-5' .* none of that name.* Choose"
    ):
        store.load("step-5")
    with pytest.raises(
        CheckpointError, match=r"set aside 'step-5' .* Expected .* Choose"
    ):
        store.set_aside("step-5")
    with pytest.raises(
        CheckpointError, match=r"'../x' .* no name of a checkpoint\. Exp"
    ):
        store.load("../x")


def test_a_damaged_one_is_passed_over_and_named(store, folder):
    for step in (1, 2, 3):
        store.commit(sample(step))
    (folder / "step-3/meta.json").write_text("{}")
    (folder / "step-2/MANIFEST.json").unlink()
    found = store.newest()
    assert found.name == "step-1"
    assert found.refused == (
        ("step-3", "meta.json has 2 bytes instead of 39"),
        ("step-2", "MANIFEST.json is missing"),
    )
    assert [finding.ok for finding in store.verify()] == [True, False, False]


def test_where_none_can_be_trusted_the_run_does_not_begin_again(store, folder):
    store.commit(sample(1))
    store.commit(sample(2))
    store.set_aside("step-2")
    (folder / "step-1/meta.json").unlink()
    message = (
        r"No checkpoint .* can be trusted \(step-1: meta.json is missing; "
        r"broken-step-2: it was set aside\)\. Expected at least one .* Bring one back"
    )
    with pytest.raises(CheckpointError, match=message):
        store.newest()
    store.set_aside("step-1")
    with pytest.raises(CheckpointError, match="can be trusted"):
        store.newest()


def test_a_checkpoint_of_another_run_is_refused(store, folder):
    Store(folder, run="run-2").commit(sample(1))
    with pytest.raises(
        CheckpointError, match=r"is of another run, 'run-2'. Expected .*"
    ):
        store.load("step-1")
    assert Store(folder, run=None).newest().name == "step-1"


def test_a_store_of_no_run_only_looks(folder):
    with pytest.raises(CheckpointError, match=r"for no run. Expected .* run=..."):
        Store(folder, run=None).commit(sample(1))


def test_a_checkpoint_of_a_later_version_says_so(store, folder):
    store.commit(sample(1))
    path = folder / "step-1/MANIFEST.json"
    path.write_text(path.read_text().replace('"version":1', '"version":2'))
    message = "format version 2, and this ownloop reads 1. Expected .* that wrote it"
    with pytest.raises(CheckpointError, match=message):
        store.load("step-1")


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        (Checkpoint(-1, {}, {}), "is of step -1. Expected an int, at least 0 .* Count"),
        (Checkpoint(True, {}, {}), "is of step True. Expected an int"),
        (
            Checkpoint(np.int64(1), {}, {}),
            r"step np.int64\(1\). Expected an int, .* convert with int",
        ),
        (
            Checkpoint(1, {"a": Entry(np.zeros(1, "m8[s]"), "x")}, {}),
            r"'a' is an array of dtype timedelta64\[s\]. Expected booleans, .* Convert",
        ),
        (
            Checkpoint(1, {"a": Entry(np.ma.zeros(1), "x")}, {}),
            "'a' is of type MaskedArray. Expected a NumPy array without a mask",
        ),
        (
            Checkpoint(1, {"a": Entry([1.0], "x")}, {}),
            "'a' is of type list. Expected a NumPy array",
        ),
        (
            Checkpoint(1, {"a": Entry(np.zeros(1), None)}, {}),
            "'a' has the role None and the path ''. Expected two strings. Write",
        ),
        (
            Checkpoint(1, {7: Entry(np.zeros(1), "x")}, {}),
            "An array has the name 7. Expected a string. Write",
        ),
        (
            Checkpoint(1, {"__metadata__": Entry(np.zeros(1), "x")}, {}),
            "the name '__metadata__' is safetensors' own. Expected .* Rename",
        ),
        (Checkpoint(1, {}, {"a": float("nan")}), r"meta\['a'\] is nan. Expected"),
    ],
    ids=lambda value: "" if isinstance(value, Checkpoint) else value[:30],
)
def test_what_cannot_be_saved_is_refused_before_a_byte_is_written(
    folder, checkpoint, message
):
    disk = RecordingDisk()
    with pytest.raises(CheckpointError, match=message):
        Store(folder, run=RUN, disk=disk).commit(checkpoint)
    assert disk.calls == []


def test_meta_and_manifest_that_are_too_large_are_refused(store, folder):
    store.commit(sample(1))
    with pytest.raises(
        CheckpointError, match=r"meta takes .* Expected at most .* Keep"
    ):
        store.commit(Checkpoint(2, {}, {"a": "x" * 2**26}))
    entry = Entry(np.zeros(1, "bool"), "x", "p" * 2**23)
    with pytest.raises(CheckpointError, match=r"The manifest of 1 .* Put small arrays"):
        store.commit(Checkpoint(2, {"a": entry}, {}))
    assert os.listdir(folder) == ["step-1"]


def test_pruning_deletes_all_others_and_leftovers_and_nothing_else(store, folder):
    for step in (1, 2, 3, 4):
        store.commit(sample(step))
    Store(folder, run="run-2").commit(sample(5))
    (folder / "step-2/mine.txt").write_text("kept")
    for number, kind in enumerate(["tmp", "trash"]):
        leftover = folder / f".{kind}-step-1-{number}-0123456789abcdef"
        leftover.mkdir()
        (leftover / "meta.json").write_text("{")
    foreign = folder / ".tmp-step-1-7-0123456789abcdef"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("kept")
    (folder / ".tmp-mine").mkdir()
    (folder / "notes.txt").write_text("kept")

    assert store.prune(["step-4"]) == ["step-1", "step-3"]

    left = ["step-2", "step-4", "step-5", ".tmp-mine", "notes.txt", foreign.name]
    assert sorted(os.listdir(folder)) == sorted(left)


@pytest.mark.parametrize("kind", ["tmp", "trash"])
def test_what_killed_processes_left_makes_room_before_anything_is_written(folder, kind):
    Store(folder, run=RUN).commit(sample(1))
    leftover = folder / f".{kind}-step-2-7-0123456789abcdef"
    leftover.mkdir()
    (leftover / "state.safetensors").write_bytes(b"half")
    disk = RecordingDisk()
    Store(folder, run=RUN, disk=disk).commit(sample(2))
    verbs = [call.verb for call in disk.calls]
    assert verbs.index("remove_folder") < verbs.index("make_folder")
    assert "sync_folder" in verbs[: verbs.index("remove_file")]
    assert sorted(os.listdir(folder)) == ["step-1", "step-2"]


def test_a_leftover_that_cannot_be_removed_keeps_nothing_from_being_saved(folder):
    leftover = folder / ".tmp-step-2-7-0123456789abcdef"
    leftover.mkdir(parents=True)
    (leftover / "meta.json").write_text("{")
    disk = FailingDisk(1, errno.EIO, verb="remove_file")
    store = Store(folder, run=RUN, disk=disk)
    assert store.commit(sample(2)) == "step-2"
    assert store.prune(["step-2"]) == []
    assert os.listdir(folder) == ["step-2"]


def test_pruning_everything_is_refused(store):
    store.commit(sample(1))
    message = r"\['step-1'\] were to be deleted .* none of \[\], .* Expected .* Name it"
    with pytest.raises(CheckpointError, match=message):
        store.prune(["step-7"])
    assert store.names() == ["step-1"]


def test_the_last_sound_one_is_never_deleted_for_a_damaged_one(folder):
    for step in (1, 2):
        Store(folder, run=RUN).commit(sample(step))
    path = folder / "step-2/state.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    store = Store(folder, run=RUN)
    with pytest.raises(
        CheckpointError, match=r"none of \['step-2'\], .* can be trusted"
    ):
        store.prune(["step-2"])
    assert store.newest().name == "step-1"


def test_whatever_has_the_name_of_a_checkpoint_can_be_set_aside(store, folder):
    store.commit(sample(1))
    (folder / "step-2").write_text("a file")
    (folder / "step-3").symlink_to("step-1")
    found = store.newest()
    assert found.name == "step-1"
    for name, reason in found.refused:
        assert reason == "it is no folder but a file, a link or a device"
        store.set_aside(name)
    assert sorted(os.listdir(folder)) == ["broken-step-2", "broken-step-3", "step-1"]
    assert store.newest().refused == ()


def test_pruning_leaves_alone_what_is_being_written(folder):
    class PausedDisk(RecordingDisk):
        def _call(self, call, act):
            if call.verb == "sync" and threading.current_thread() is committer:
                written.set()
                assert go_on.wait(30)
            return super()._call(call, act)

    written, go_on = threading.Event(), threading.Event()
    store = Store(folder, run=RUN, disk=PausedDisk())
    committer = None
    store.commit(sample(1))
    committer = threading.Thread(target=store.commit, args=(sample(2),))
    committer.start()
    assert written.wait(30)
    store.prune(["step-1"])
    go_on.set()
    committer.join()
    assert store.names() == ["step-1", "step-2"]
    assert all(finding.ok for finding in store.verify())


def test_only_the_words_are_read_for_the_words(folder):
    Store(folder, run=RUN).commit(sample(1))
    disk = RecordingDisk()
    Store(folder, run=RUN, disk=disk).meta("step-1")
    read = [call.path.name for call in disk.calls if call.verb == "read"]
    assert read == ["MANIFEST.json", "meta.json"]


def test_the_protocol_is_the_one_that_is_written_down(folder):
    disk = RecordingDisk()
    store = Store(folder, run=RUN, disk=disk)
    store.commit(sample(1))
    disk.calls.clear()
    save(store, 2, last=1)
    changes = [
        (call.verb, call.path.name.split("-")[0])
        for call in disk.calls
        if call.verb not in ("list", "read", "append", "close")
    ]
    assert changes == [
        ("make_folder", ".tmp"),
        ("create", "state.safetensors"),
        ("sync", "state.safetensors"),
        ("create", "meta.json"),
        ("sync", "meta.json"),
        ("create", "MANIFEST.json"),
        ("sync", "MANIFEST.json"),
        ("sync_folder", ".tmp"),
        ("rename", ".tmp"),
        ("sync_folder", "checkpoints"),
        ("sync_folder", "checkpoints"),
        ("rename", "step"),
        ("sync_folder", "checkpoints"),
        *[("remove_file", file) for file in _removed(disk)],
        ("remove_folder", ".trash"),
    ]


def _removed(disk):
    names = [call.path.name for call in disk.calls if call.verb == "remove_file"]
    assert sorted(names) == sorted(FILES)
    return names


@pytest.mark.parametrize("verb", ["sync", "sync_folder"])
def test_a_failed_fsync_is_not_tried_again(folder, verb):
    Store(folder, run=RUN).commit(sample(1))
    disk = FailingDisk(1, errno.EIO, verb=verb)
    with pytest.raises(
        CheckpointError, match=r"step 2 .* Input/output error \(/.*\)\. "
    ):
        Store(folder, run=RUN, disk=disk).commit(sample(2))
    assert disk.counted == 1
    assert os.listdir(folder) == ["step-1"]


def test_a_disk_that_cannot_be_read_now_is_told_of_and_nothing_is_passed_over(folder):
    for step in (1, 2):
        Store(folder, run=RUN).commit(sample(step))
    disk = FailingDisk(1, errno.EIO, verb="read")
    message = (
        r"'step-2' in .* cannot be read: Input/output error .*Expected .*Try again"
    )
    with pytest.raises(CheckpointError, match=message):
        Store(folder, run=RUN, disk=disk).newest()
    assert Store(folder, run=RUN).newest().name == "step-2"


def test_a_newest_one_of_a_later_version_is_not_passed_over(folder):
    for step in (1, 2):
        Store(folder, run=RUN).commit(sample(step))
    path = folder / "step-2" / "MANIFEST.json"
    path.write_text(path.read_text().replace('"version":1', '"version":2'))
    with pytest.raises(CheckpointError, match=r"version 2.*a later one\."):
        Store(folder, run=RUN).newest()


def test_whoever_looks_while_the_run_goes_on_gets_one_that_is_there(
    folder, monkeypatch
):
    run, reader = Store(folder, run=RUN), Store(folder, run=RUN)
    for step in (1, 2):
        run.commit(sample(step))
    plain, reads = Store._read, []

    def read(self, name):
        reads.append(name)
        if len(reads) == 1:
            run.commit(sample(3))
            run.prune(["step-3"])
        return plain(self, name)

    monkeypatch.setattr(Store, "_read", read)
    found = reader.newest()
    assert (found.name, found.refused) == ("step-3", ())
    assert reads == ["step-2", "step-3"]


def test_a_relative_folder_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store(type(tmp_path)("checkpoints"), run=RUN)
    store.commit(sample(1))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert store.names() == ["step-1"]


def test_a_state_of_many_pieces_comes_back_and_is_not_copied_to_be_written(store):
    import tracemalloc

    array = np.random.default_rng(0).normal(size=(1000, 3000))  # 24 MB, six pieces
    checkpoint = Checkpoint(1, {"a": Entry(array, "x")}, {})
    tracemalloc.start()
    store.commit(checkpoint)
    _, written = tracemalloc.get_traced_memory()
    loaded = store.load("step-1")
    _, read = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert loaded.tensors["a"].array.tobytes() == array.tobytes()
    assert written < array.nbytes / 20
    assert read < array.nbytes * 1.1
