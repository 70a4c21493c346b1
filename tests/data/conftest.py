"""What the tests of streams share."""

import pytest

from marked_streams import OneGenerator, Stream
from ownloop.data import Marks, Openings, StreamFeed


@pytest.fixture
def generator():
    return OneGenerator()


@pytest.fixture
def complaints():
    return []


@pytest.fixture
def open_feed(generator, complaints):
    """Open a stream as one process, or as another one that goes on from a bookmark."""
    feeds = []

    def open_feed(
        start=None, *, steps=None, stream=None, ahead=0, openings=None, **options
    ):
        marks = Marks(
            generator,
            openings=openings or Openings(),
            float_type="float32",
            differs=complaints.append,
            start=start,
            **options,
        )
        stream = stream or Stream(generator)
        feed = StreamFeed(
            stream, float_type="float32", steps=steps, ahead=ahead, marks=marks
        )
        feeds.append(feed)
        return feed

    yield open_feed
    for feed in feeds:
        feed.close()
