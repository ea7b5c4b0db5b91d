"""Watching a file or the files of a folder, also when editors rename another one over it, or it goes and comes again.

1. A watch sticks to the inode, which a rename leaves behind: the folder that holds the file is watched. Where one file
   alone is watched it is watched too: mounted over another one, as Docker does with /etc/resolv.conf, it is changed
   elsewhere.
2. Each folder and each link on the way is watched for what happens to itself: a link that is turned, a folder that is
   put in the place of another one. What else happens in these folders wakes nobody.
3. Where the way ends before its end, the last folder that is there is watched for what comes.
4. Where only the way matters, not what is in the file at its end, that file is watched for what happens to itself: in
   its folder others may come and go all day.
5. What has happened by the time that somebody looks is told at once, as one change.
6. Paths in rules may end before their end in a folder that all may write to (/tmp), where others make files all the
   time: after what does not matter there nobody looks for a moment.
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

from tinysnitch.core.errors import unless_short

_MAX_STEPS = 256  # on the way to one file; links may lead around in circles
_TRIES = 5
NOISE_S = 0.25  # the moment
_MAX_TOGETHER = 1024  # events: 20 ms, and whoever makes them faster than they are read ends no loop
_COMES_AND_GOES = Mask.MOVED_TO | Mask.MOVED_FROM | Mask.CREATE | Mask.DELETE
_SELF = Mask.MOVE_SELF | Mask.DELETE_SELF
_LINK = _SELF | Mask.ATTRIB | Mask.DONT_FOLLOW  # ATTRIB: it has a name less


class _Spot(msgspec.Struct):
    """What is watched at one place, which no link leads to."""

    mask: Mask
    names: set[str] = set()  # what matters of a folder
    is_whole: bool = False  # everything in it does


_Spots = dict[Path, _Spot]
Look = Callable[[Callable[[], _Spots]], _Spots]  # calls what looks around, and may raise OSError before it is done


def look_here(look: Callable[[], _Spots]) -> _Spots:
    return look()


def watch_file(path: Path, look: Look = look_here) -> AsyncIterator[None]:
    """One item as soon as the watch stands, then one for each time that the file may have changed."""
    return _watch(partial(look, partial(_spots_of_file, path.absolute())))


def watch_folder(folder: Path, look: Look = look_here) -> AsyncIterator[None]:
    """The same for the files right in a folder, which need not be there yet, nor the one above it."""
    return _watch(partial(look, partial(_spots_of_folder, folder.absolute())))


def watch_ways(paths: Iterable[str], look: Look = look_here) -> AsyncGenerator[None, None]:
    """The same for all that can lead one of the paths elsewhere."""
    return _watch(partial(look, partial(_spots_of_ways, tuple(map(Path, paths)))), NOISE_S)


async def _watch(find_spots: Callable[[], _Spots], noise_s: float = 0.0) -> AsyncGenerator[None, None]:
    with Inotify(sync_timeout=0) as inotify:
        watched = _watch_all(inotify, find_spots)
        yield
        async for event in inotify:
            events = (event, *islice(iter(inotify.sync_get, None), _MAX_TOGETHER))
            if any(_is_change(each, watched) for each in events):
                watched = _watch_all(inotify, find_spots)  # the way may be another one now
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
    """The folder, and where each link in it leads."""
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
    """Most are plain files of a few folders, whose ways are one."""
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
    """All that can lead the path elsewhere (path_resolution(7)); where it leads, None if it ends before."""
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
    """Or will, once it is there. What the machine writes to /dev/null, or into a pipe, changes nothing there."""
    return os.path.isfile(path) or not os.path.exists(path)


def _find_target(path: Path) -> Path | None:
    try:
        return path.readlink()
    except (OSError, ValueError):  # EINVAL: no link
        return None


def _add(spots: _Spots, path: Path, mask: Mask) -> _Spot:
    spot = spots.setdefault(path, _Spot(Mask(0)))
    spot.mask |= mask
    return spot


def _watch_all(inotify: Inotify, find_spots: Callable[[], _Spots]) -> dict[int, tuple[Path, _Spot]]:
    """Watch these, and nothing else any more; by watch descriptor. From the top: what turns meanwhile is told.

    What is another kind of thing meanwhile is found by looking again.
    """
    spots = find_spots()
    for _ in range(_TRIES):
        watched = {wd: (path, spot) for path, spot in spots.items() for wd in _try_watch(inotify, path, spot.mask)}
        spots, earlier = find_spots(), spots
        if spots == earlier:
            break
    for watch in inotify.watches:
        if watch.wd not in watched:
            with suppress(OSError):  # EINVAL: it went with its inode
                inotify.rm_watch(watch)
    return watched


def _try_watch(inotify: Inotify, path: Path, mask: Mask) -> tuple[int, ...]:
    """inotify_add_watch(2): one inode has one watch. Nothing where nothing is there any more."""
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
        return True  # of the place itself
    if not spot.is_whole and event.name.name not in spot.names:
        return False
    return Mask.CREATE not in event.mask or _has_come_whole(path / event.name)


def _has_come_whole(path: Path) -> bool:
    """A link or a folder does; a file that was just opened is empty yet, and its CLOSE_WRITE follows."""
    try:
        return path.is_symlink() or path.is_dir() or path.stat().st_nlink > 1
    except OSError:
        return True
