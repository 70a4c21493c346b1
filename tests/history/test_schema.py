"""A new file of a history: whole, whatever an earlier attempt has left."""

import sqlite3
from contextlib import closing


def test_what_an_attempt_that_was_killed_has_left_is_in_nobodys_way(path, opened):
    unfinished = path.with_name(".history.db.new")
    with closing(sqlite3.connect(unfinished)) as connection:
        connection.execute("CREATE TABLE names (half INTEGER)")
    unfinished.with_name(".history.db.new-journal").write_bytes(bytes(600))
    database = opened(path)
    assert not database.has_rows()
    database.close()
    assert [item.name for item in path.parent.iterdir()] == ["history.db"]
