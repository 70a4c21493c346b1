"""A file that appears whole or not at all.

Whoever reads it meanwhile finds the old file or the new one, and so does whoever kills
the writer. A power cut may leave it empty, too: what must survive that is written by
`folder`, `history` and `checkpoints`, each in an order of its own.
"""

import os
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file so that nobody ever sees a part of it.

    Raises:
        OSError: The folder is missing or cannot be written.
    """
    target = Path(path)
    # In the same folder, since only there the replacement is one act; under a name of
    # this process's own, since another may be writing, too.
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
