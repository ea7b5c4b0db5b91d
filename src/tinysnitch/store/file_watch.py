"""Watches a file or the files of a folder, even when an editor renames another file over it, or it is removed and made.

1. A watch is bound to an inode, and a rename puts another inode at the path: therefore the folder of the file is
   watched. A single file is watched itself, too: mounted over another file, as Docker does with /etc/resolv.conf, it is
   changed in another folder.
2. Each folder and each link on the way to it is watched for changes of itself: a link that is replaced, a folder that
   is moved. Other changes in these folders are ignored.
3. If a part of the path does not exist, the last folder that does is watched until that part is made.
4. Where only the way matters and not the content of the file at its end (`watch_ways`), the file itself is watched for
   being moved or removed, and not its folder, where other files may come and go all day.
5. All changes that have happened when we look are told as one.
6. A path in a rule may not exist in a folder that all users may write to (/tmp), where files are made all the time:
   after changes there that do not matter we do not look for a moment.
"""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
from asyncinotify import Event, Inotify, Mask

from tinysnitch.core.model.errors import unless_short

_MAX_STEPS = 256  # on the way to one file; links may lead around in circles
_TRIES = 5
NOISE_S = 0.25  # the moment of point 6
_MAX_TOGETHER = 1024  # events read at once, in 20 ms: a program may make them faster than we read
_COMES_AND_GOES = Mask.MOVED_TO | Mask.MOVED_FROM | Mask.CREATE | Mask.DELETE
_SELF = Mask.MOVE_SELF | Mask.DELETE_SELF
_LINK = _SELF | Mask.ATTRIB | Mask.DONT_FOLLOW  # ATTRIB: one of its names was removed


class _Spot(msgspec.Struct):
    """What is watched at one path, in which no part is a link."""

    mask: Mask
    names: set[str] = set()  # entries of a folder that matter
    is_whole: bool = False  # all its entries matter


_Spots = dict[Path, _Spot]
Look = Callable[[Callable[[], _Spots]], _Spots]  # calls the function, or raises OSError when it takes too long


def look_here(look: Callable[[], _Spots]) -> _Spots:
    return look()


def watch_file(path: Path, look: Look = look_here) -> AsyncIterator[None]:
    """One item as soon as the watch stands, then one for each time that the file may have changed."""
    return _watch(partial(look, partial(_spots_of_file, path.absolute())))


def watch_folder(folder: Path, look: Look = look_here) -> AsyncIterator[None]:
    """The same for all files in a folder (not below it). The folder and those above it need not exist yet."""
    return _watch(partial(look, partial(_spots_of_folder, folder.absolute())))


def watch_ways(paths: Iterable[str], look: Look = look_here) -> AsyncGenerator[None, None]:
    """The same for changes that may make one of the paths lead elsewhere."""
    ways = tuple(Path(path).absolute() for path in paths)
    return _watch(partial(look, partial(_spots_of_ways, ways)), NOISE_S)


async def _watch(find_spots: Callable[[], _Spots], noise_s: float = 0.0) -> AsyncGenerator[None, None]:
    with Inotify(sync_timeout=0) as inotify:
        watched = _watch_all(inotify, find_spots)
        yield
        async for event in inotify:
            events = (event, *islice(iter(inotify.sync_get, None), _MAX_TOGETHER))
            if any(_is_change(each, watched) for each in events):
                watched = _watch_all(inotify, find_spots)  # the way may have changed
                yield
            elif noise_s:
                await asyncio.sleep(noise_s)


def _spots_of_file(path: Path) -> _Spots:
    spots: _Spots = {}
    end = _add_way(spots, path)
    if end is not None and _holds_text(end):
        _add(spots, end, Mask.CLOSE_WRITE)
    return spots


def _spots_of_folder(folder: Path) -> _Spots:
    """The folder, and the way that each link in it leads."""
    spots: _Spots = {}
    end = _add_way(spots, folder)
    if end is not None and os.path.isdir(end):
        _add(spots, end, _COMES_AND_GOES | Mask.CLOSE_WRITE | Mask.ONLYDIR).is_whole = True
        try:
            links = [path for path in end.iterdir() if path.is_symlink()]
        except OSError as error:
            links = unless_short(error, [])
        for path in links:
            _add_way(spots, path)
    return spots


def _spots_of_ways(paths: tuple[Path, ...]) -> _Spots:
    """The ways of many paths: most are plain files in a few folders, and the way to each folder is walked once."""
    spots: _Spots = {}
    folders = {folder: _add_way(spots, folder) for folder in {path.parent for path in paths}}
    for path in paths:
        end = folders[path.parent] or path.parent
        if _is_plain(end / path.name):
            _add(spots, end / path.name, _LINK)
        else:
            _add_way(spots, path, is_way_all=True)
    return spots


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _add_way(spots: _Spots, path: Path, *, is_way_all: bool = False) -> Path | None:
    """Add all that can make the path lead elsewhere (path_resolution(7)). Returns where it leads, None if nowhere.

    `is_way_all`: the content of the file at its end does not matter.
    """
    here, left = Path("/"), list(path.parts[:0:-1])
    for _ in range(_MAX_STEPS):
        if not left:
            return here
        step = Path(os.path.normpath(here / left.pop()))
        target = _find_target(step)
        if target is not None:
            _add(spots, step, _LINK)
            here = Path("/") if target.is_absolute() else here
            left += [part for part in reversed(target.parts) if part != "/"]
        elif os.path.isdir(step):
            _add(spots, step, _SELF | Mask.ONLYDIR)
            here = step
        elif is_way_all and os.path.lexists(step):
            _add(spots, step, _LINK)
            return step
        else:
            mask = _COMES_AND_GOES | Mask.CLOSE_WRITE if not left and _holds_text(step) else _COMES_AND_GOES
            _add(spots, here, mask | Mask.ONLYDIR).names.add(step.name)
            return None if left else step
    return None


def _holds_text(path: Path) -> bool:
    """Whether it is a regular file, or may become one. What is written to /dev/null or a pipe changes no content."""
    return os.path.isfile(path) or not os.path.exists(path)


def _find_target(path: Path) -> Path | None:
    try:
        return path.readlink()
    except (OSError, ValueError):  # EINVAL: it is no link
        return None


def _add(spots: _Spots, path: Path, mask: Mask) -> _Spot:
    spot = spots.setdefault(path, _Spot(Mask(0)))
    spot.mask |= mask
    return spot


def _watch_all(inotify: Inotify, find_spots: Callable[[], _Spots]) -> dict[int, tuple[Path, _Spot]]:
    """Watch what `find_spots` finds, and nothing else. Returns the spots by watch descriptor.

    Folders come before what is in them, so that a change in between gives an event. It looks until nothing changed in
    between, since a file may have become a folder or a link.
    """
    spots = find_spots()
    for _ in range(_TRIES):
        watched = {wd: (path, spot) for path, spot in spots.items() for wd in _try_watch(inotify, path, spot.mask)}
        spots, earlier = find_spots(), spots
        if spots == earlier:
            break
    for watch in inotify.watches:
        if watch.wd not in watched:
            with suppress(OSError):  # EINVAL: it ended with its inode
                inotify.rm_watch(watch)
    return watched


def _try_watch(inotify: Inotify, path: Path, mask: Mask) -> tuple[int, ...]:
    """The watch descriptor; empty when the path does not exist any more. An inode has one watch only
    (inotify_add_watch(2))."""
    try:
        return (inotify.add_watch(path, mask).wd,)
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _is_change(event: Event, watched: dict[int, tuple[Path, _Spot]]) -> bool:
    if Mask.Q_OVERFLOW in event.mask:
        return True
    if event.watch is None or event.watch.wd not in watched or Mask.IGNORED in event.mask:
        return False
    path, spot = watched[event.watch.wd]
    if event.name is None:
        return True  # a change of the spot itself
    if not spot.is_whole and event.name.name not in spot.names:
        return False
    return Mask.CREATE not in event.mask or _has_come_whole(path / event.name)


def _has_come_whole(path: Path) -> bool:
    """Whether what was just created is complete: a link or a folder is. A file is still empty; CLOSE_WRITE follows."""
    try:
        return path.is_symlink() or path.is_dir() or path.stat().st_nlink > 1
    except OSError:
        return True
