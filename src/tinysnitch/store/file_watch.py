"""Watching one file, also when editors rename another one over it, or it goes and comes again.

Its folder is watched, not the file: a watch on a file sticks to the inode, which a rename leaves behind.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

from asyncinotify import Event, Inotify, Mask

_CHANGES = Mask.CLOSE_WRITE | Mask.MOVED_TO | Mask.MOVED_FROM | Mask.CREATE | Mask.DELETE | Mask.ONLYDIR


async def watch_file(path: Path) -> AsyncIterator[None]:
    """One item as soon as the watch stands, then one for each time that the file may have changed."""
    with Inotify() as inotify:
        places = _watch_places(inotify, path)
        yield
        async for event in inotify:
            if _is_change(event, places):
                places |= _watch_places(inotify, path)  # a link may lead elsewhere now
                yield


def _watch_places(inotify: Inotify, path: Path) -> set[Path]:
    """Where a change of the content shows: at the path itself, and where a link leads."""
    places = {path.absolute(), Path(os.path.realpath(path))}
    for place in places:
        inotify.add_watch(place.parent, _CHANGES)  # a second watch on a folder is the first one (inotify(7))
    return places


def _is_change(event: Event, places: set[Path]) -> bool:
    if Mask.Q_OVERFLOW in event.mask:
        return True
    path = event.path
    if path is None or path not in places:
        return False
    return Mask.CREATE not in event.mask or _has_come_whole(path)


def _has_come_whole(path: Path) -> bool:
    """A link does; a file that was just opened is empty yet, and its CLOSE_WRITE follows."""
    try:
        return path.is_symlink() or path.stat().st_nlink > 1
    except OSError:
        return True
