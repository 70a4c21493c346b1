"""The words of the command line, and the messages for words that are wrong."""

from pathlib import Path

import pytest

from ownloop.cli import main
from ownloop.cli.arguments import parse
from ownloop.cli.commands import Doctor, Job, ListRuns, ShowRun, Train, VerifyRun


def test_no_flags_give_the_textbooks_job():
    job = parse(["mnist"]).job
    assert job == Job()
    assert (job.epochs, job.batch_size, job.learning_rate) == (10, 32, 1e-4)
    assert job.classes == tuple(range(10))
    assert (job.every, job.seed, job.out) == (300, 0, Path("runs/mnist"))


def test_every_flag_reaches_the_job():
    words = (
        "mnist --backend torch --epochs 3 --batch-size 64 --learning-rate 0.01 "
        "--classes 4,7 --every 10 --seed 5 --out here --resume"
    )
    expected = Job(
        epochs=3,
        batch_size=64,
        learning_rate=0.01,
        classes=(4, 7),
        every=10,
        seed=5,
        out=Path("here"),
        resume=True,
    )
    assert parse(words.split()) == Train(expected, "torch")


def test_a_job_may_be_resumed_inexactly_and_is_not_resumed_unasked():
    assert parse(["mnist", "--resume", "inexact"]).job.resume == "inexact"
    assert parse(["mnist"]).job.resume is False


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("doctor", Doctor()),
        ("runs", ListRuns(Path("runs"))),
        ("runs here", ListRuns(Path("here"))),
        ("show run", ShowRun(Path("run"))),
        (
            "show run --log --history h.JSON --plot p.svg",
            ShowRun(Path("run"), True, Path("h.JSON"), Path("p.svg")),
        ),
        ("verify run", VerifyRun(Path("run"))),
    ],
)
def test_each_command_has_its_value(words, command):
    assert parse(words.split()) == command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--backend theano", "'theano' is no backend .*expected one of jax.*write"),
        ("--epochs 0", "--epochs: got '0'; expected a whole number from 1 up; write"),
        ("--epochs ten", "got 'ten'"),
        ("--epochs 2.5", "got '2.5'"),
        ("--batch-size 0", "--batch-size: got '0'"),
        ("--batch-size -32", "--batch-size: got '-32'"),
        ("--every 0", "--every: got '0'"),
        ("--learning-rate 0", "got '0'; expected a finite number above 0; write"),
        ("--learning-rate -1e-4", "got '-1e-4'"),
        ("--learning-rate nan", "got 'nan'"),
        ("--learning-rate inf", "got 'inf'"),
        ("--learning-rate fast", "got 'fast'"),
        ("--classes 0", "got '0'; expected two or more different digits .*write"),
        ("--classes 0,10", "got '0,10'"),
        ("--classes 1,2,1", "got '1,2,1'"),
        ("--classes cat,dog", "got 'cat,dog'"),
        ("--classes 0,,1", "got '0,,1'"),
        ("--seed -1", "--seed: got '-1'; expected a whole number from 0"),
        ("--resume runs/a", "--resume: got 'runs/a'; expected nothing, or .*write"),
        ("--colour red", "unrecognized arguments: --colour"),
    ],
)
def test_a_wrong_word_ends_with_code_2_and_says_what_to_write(words, message, capsys):
    flag, _, value = words.partition(" ")
    with pytest.raises(SystemExit) as stopped:
        main(["mnist", f"{flag}={value}"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert_matches(message, error)


def test_no_command_is_an_error_too(capsys):
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def assert_matches(pattern: str, text: str) -> None:
    with pytest.raises(AssertionError, match=pattern):
        raise AssertionError(text)
