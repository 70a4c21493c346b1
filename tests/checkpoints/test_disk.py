"""What the real disk promises, as far as a test can see it."""

import errno
import os

import pytest

from ownloop.checkpoints.disk import Item, RealDisk

DISK = RealDisk()


def write(path, content):
    file = DISK.create(path)
    DISK.append(file, memoryview(content))
    DISK.sync(file)
    DISK.close(file)


def test_what_is_written_is_read(tmp_path):
    content = os.urandom(100_000)
    write(tmp_path / "a", content)
    assert DISK.read(tmp_path / "a", len(content)) == content
    write(tmp_path / "b", b"")
    assert DISK.read(tmp_path / "b", 0) == b""


def test_nothing_that_exists_is_replaced(tmp_path):
    write(tmp_path / "a", b"old")
    DISK.make_folder(tmp_path / "b")
    for act in (
        lambda: DISK.create(tmp_path / "a"),
        lambda: DISK.make_folder(tmp_path / "b"),
        lambda: DISK.rename(tmp_path / "b", tmp_path / "a"),
    ):
        with pytest.raises(FileExistsError):
            act()
    DISK.make_folder(tmp_path / "c")
    with pytest.raises(FileExistsError):  # which POSIX would do, with an empty folder
        DISK.rename(tmp_path / "b", tmp_path / "c")
    assert DISK.read(tmp_path / "a", 3) == b"old"


def test_a_link_is_neither_followed_nor_called_a_file(tmp_path):
    write(tmp_path / "a", b"abc")
    (tmp_path / "file").symlink_to(tmp_path / "a")
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    kinds = {item.name: item.kind for item in DISK.list(tmp_path)}
    assert kinds.pop("a") == "file"
    assert set(kinds.values()) == {"other"}
    for name in kinds:
        with pytest.raises(OSError, match=name):
            DISK.read(tmp_path / name, 3)


def test_a_file_of_another_size_is_not_read(tmp_path):
    write(tmp_path / "a", b"abc")
    for size in (0, 2, 4, 2**40):
        with pytest.raises(OSError, match=f"is no file of {size} bytes"):
            DISK.read(tmp_path / "a", size)


def test_a_folder_tells_kinds_and_sizes(tmp_path):
    write(tmp_path / "a", b"abc")
    DISK.make_folder(tmp_path / "b")
    items = sorted(DISK.list(tmp_path), key=lambda item: item.name)
    assert items[0] == Item("a", "file", 3)
    assert (items[1].name, items[1].kind) == ("b", "folder")


def test_every_error_names_the_path(tmp_path):
    full = DISK.create(tmp_path / "a")
    os.close(full.descriptor)  # as if it had been lost
    missing = tmp_path / "missing"
    for act, path in (
        (lambda: DISK.append(full, memoryview(b"x")), full.path),
        (lambda: DISK.sync(full), full.path),
        (lambda: DISK.close(full), full.path),
        (lambda: DISK.list(missing), missing),
        (lambda: DISK.read(missing, 1), missing),
        (lambda: DISK.sync_folder(missing), missing),
        (lambda: DISK.make_folder(missing / "a"), missing),
        (lambda: DISK.rename(missing, tmp_path / "b"), missing),
        (lambda: DISK.remove_file(missing), missing),
        (lambda: DISK.remove_folder(missing), missing),
        (lambda: DISK.free(missing), missing),
    ):
        with pytest.raises(OSError) as caught:
            act()
        assert str(path) in str(caught.value)
        assert caught.value.errno in (errno.EBADF, errno.ENOENT)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a full device")
def test_a_write_that_does_not_fit_is_an_error(tmp_path):
    file = DISK.create(tmp_path / "a")
    device = os.open("/dev/full", os.O_WRONLY)
    os.dup2(device, file.descriptor)
    with pytest.raises(OSError, match=r"No space left on device: '.*/a'"):
        DISK.append(file, memoryview(b"x"))
    DISK.close(file)
    os.close(device)
