"""A look at a database against a mark, which finds what differs and changes nothing."""

import pytest

from ownloop.errors import FolderError
from ownloop.history.database import read_database, verify_database
from ownloop.history.tally import Mark


def test_what_was_marked_is_found_whole_also_with_later_rows(path, bits, filled):
    database, history = filled(path)
    mark, records = database.mark(), []
    history.follow(records.append)
    history.record_epoch(7, step=70)
    database.append(records)
    verify_database(path, mark, run="r1")
    verify_database(path, Mark.of_nothing(), run=None)
    assert bits(read_database(path)) == bits(history)  # nothing was cut back
    database.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE steps SET value = 0.5 WHERE id = 3", "was altered: the rows that the"),
        ("DELETE FROM epochs", r"holds 0 rows of epochs\. Expected at least 1"),
        ("UPDATE looks SET value = 'x' WHERE id = 1", "a row is not as it was written"),
        ("UPDATE meta SET value = 'r2' WHERE key = 'run'", "history of the run 'r2'"),
    ],
)
def test_what_differs_from_the_mark_is_told(path, change, words, filled):
    database, _ = filled(path)
    mark = database.mark()
    database._open_connection().execute(change)
    database.close()
    before = path.read_bytes()
    with pytest.raises(FolderError, match=words):
        verify_database(path, mark, run="r1")
    assert path.read_bytes() == before


def test_a_page_that_was_overwritten_is_told(path, filled):
    database, _ = filled(path)
    mark = database.mark()
    database.close()
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(FolderError, match=r"damaged|malformed"):
        verify_database(path, mark, run="r1")
