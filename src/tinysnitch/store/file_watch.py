"""Watching a file or the files of a folder, also when editors rename another one over it, or it goes and comes again.

Folders are watched: a watch on a file sticks to the inode, which a rename leaves behind. Where one file alone is
watched it is watched too: mounted over another one, as Docker does with /etc/resolv.conf, it is changed elsewhere.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from asyncinotify import Event, Inotify, Mask

_CHANGES = Mask.CLOSE_WRITE | Mask.MOVED_TO | Mask.MOVED_FROM | Mask.CREATE | Mask.DELETE | Mask.ONLYDIR


def watch_file(path: Path) -> AsyncIterator[None]:
    """One item as soon as the watch stands, then one for each time that the file may have changed."""
    return _watch(partial(_places_of, path), None)


def watch_folder(folder: Path) -> AsyncIterator[None]:
    """The same for the files right in a folder, which need not be there yet, nor the one above it."""
    return _watch(partial(_places_in, folder), folder.absolute())


async def _watch(find_places: Callable[[], set[Path]], folder: Path | None) -> AsyncIterator[None]:
    with Inotify() as inotify:
        places = _add_watches(inotify, find_places(), folder)
        yield
        async for event in inotify:
            if _is_change(event, places, folder):
                places |= _add_watches(inotify, find_places(), folder)  # a link may lead elsewhere now
                yield


def _places_of(path: Path) -> set[Path]:
    """Where a change of the content shows: at the path itself, and where a link leads."""
    return {path.absolute(), Path(os.path.realpath(path))}


def _places_in(folder: Path) -> set[Path]:
    """The folder, the one above it, every file in it and where each leads."""
    places = {folder.absolute(), folder.parent.absolute(), folder.absolute() / "any"}
    with suppress(OSError):
        for path in folder.iterdir():
            places |= _places_of(path)
    return places


def _add_watches(inotify: Inotify, places: set[Path], folder: Path | None) -> set[Path]:
    """Watch where each place is; of a folder's some may not be there. A second watch is the first one (inotify(7))."""
    if folder is None:
        for place in places:
            with suppress(OSError):
                inotify.add_watch(place, Mask.CLOSE_WRITE)
    allowed = () if folder is None else (FileNotFoundError, NotADirectoryError)
    for parent in {place.parent for place in places}:
        with suppress(*allowed):
            inotify.add_watch(parent, _CHANGES)
    return places


def _is_change(event: Event, places: set[Path], folder: Path | None) -> bool:
    if Mask.Q_OVERFLOW in event.mask:
        return True
    path = event.path
    if path is None or (path not in places and path.parent != folder):
        return False
    return Mask.CREATE not in event.mask or _has_come_whole(path)


def _has_come_whole(path: Path) -> bool:
    """A link or a folder does; a file that was just opened is empty yet, and its CLOSE_WRITE follows."""
    try:
        return path.is_symlink() or path.is_dir() or path.stat().st_nlink > 1
    except OSError:
        return True
