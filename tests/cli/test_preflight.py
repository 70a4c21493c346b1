"""What is checked before the first step: the backend, the packages, the folder."""

import os
import subprocess
import sys

import pytest

from ownloop import backends
from ownloop.cli import arguments, main, preflight
from ownloop.errors import BackendError, OwnloopError


@pytest.fixture
def only_jax(monkeypatch):
    """A machine on which nothing but JAX is installed."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(
        preflight, "find_spec", lambda name: object() if name == "jax" else None
    )


@pytest.mark.usefixtures("only_jax")
def test_the_first_installed_backend_is_the_default():
    assert preflight.choose_backend(None) == "jax"


def test_the_environment_decides_where_no_flag_does(monkeypatch):
    monkeypatch.setattr(preflight, "find_spec", lambda name: object())
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert preflight.choose_backend(None) == "torch"
    assert preflight.choose_backend("tensorflow") == "tensorflow"


@pytest.mark.usefixtures("only_jax")
def test_a_missing_backend_says_what_to_install():
    with pytest.raises(
        BackendError,
        match=r"'torch' is not installed .*pip install \"ownloop\[torch\]\", or .* jax",
    ):
        preflight.choose_backend("torch")


def test_no_backend_at_all_says_what_to_install(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"No backend .*pip install .*\[jax\]"):
        preflight.choose_backend(None)


def test_an_unknown_backend_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    with pytest.raises(
        BackendError, match=r"KERAS_BACKEND is 'theano'; expected .*set"
    ):
        preflight.choose_backend(None)


@pytest.mark.usefixtures("only_jax")
def test_a_missing_package_says_what_to_install():
    with pytest.raises(
        OwnloopError, match=r"'matplotlib' is not installed .* draw; .*\[plots\]"
    ):
        preflight.require_package("matplotlib", extra="plots", purpose="draw")


def test_a_folder_is_made_and_left_empty(tmp_path):
    folder = tmp_path / "a" / "b"
    preflight.require_writable(folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_ends_with_code_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code = main(["mnist", "--out", str(tmp_path / "file" / "folder")])
    assert code == 2
    error = capsys.readouterr().err
    assert error.startswith("ownloop: error: Cannot write to --out")
    assert "Not a directory" in error
    assert "choose another" in error


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="root may write everywhere, and Windows has other rules",
)
def test_a_folder_of_somebody_else_ends_with_code_2(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["mnist", "--out", str(tmp_path)]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_a_backend_that_is_not_installed_ends_with_code_2_and_no_traceback(tmp_path):
    # A finder that hides the package: what a machine without it looks like.
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n == 'torch' else real(n, *a)\n"
        "from ownloop.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "never"
    words = ["mnist", "--backend", "torch", "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert 'pip install "ownloop[torch]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_the_command_line_offers_the_backends_that_exist():
    # Written twice, because asking the backends' room would import Keras too early.
    assert list(arguments.BACKENDS) == list(backends.ROOMS)
