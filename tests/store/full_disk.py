"""Writes a history on a full disk, and then makes room."""

import resource
import sys
from pathlib import Path

from tinysnitch.store.history import BATCH, History

history = History(Path(sys.argv[1]))


def fill(since_s: float) -> None:
    for number in range(20 * BATCH):
        history.append(b"x" * 500)
        history.flush_due(since_s + number / BATCH)


resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
fill(0.0)
lost = history.lost
assert 0 < lost < 20 * BATCH, lost
assert list(history.read_newest(1)) == [b"x" * 500]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
fill(20.0)
assert history.lost <= lost + 2 * BATCH, history.lost  # until it was tried again
history.close()
