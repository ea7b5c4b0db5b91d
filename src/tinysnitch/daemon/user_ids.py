"""The uids of the users that rules name.

A name service may need the network, whose verdicts the loop gives: all are looked up beside the loop, which waits for a
new name no more than a moment. Those that are known are looked up again.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event
from time import sleep

from tinysnitch.core.errors import is_shortage
from tinysnitch.daemon.side_work import do_beside
from tinysnitch.kernel.user_database import find_uid

MOMENT_S = 0.2  # most name services read a file, which takes less than a millisecond
MAX_LOOKS = 16  # for new names: threads
MAX_LATE = 64  # names
AGAIN_S = 1.0  # how soon a look is tried again that lacked descriptors or memory

_Uids = dict[str, int | None]  # None: nobody has the name


class _Look:
    """For names that are new."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.found = _Uids()
        self.is_over = Event()

    def run(self) -> None:
        self.found = _find_at_last(self.names)
        self.is_over.set()


class UserIds:
    def __init__(self, changed: Callable[[], object]) -> None:
        """`changed` is called when a name stands for another uid now, or has one at last."""
        self._changed = changed
        self._known: _Uids = {}
        self._new: list[_Look] = []  # that go on, each in a thread
        self._late = set[str]()  # of those that are known: for whoever was told to ask again
        self._is_looking = False
        self._is_stale = False  # somebody asked during the look: what was found may be older than that
        self._is_closed = False

    def find(self, names: frozenset[str]) -> _Uids:
        """Of these users, and no others any more, as far as that is known yet."""
        self._late -= names
        self._known = {name: uid for name, uid in self._known.items() if name in names or name in self._late}
        if self._known:
            self._look_again()
        self._find_new(names)
        return {name: uid for name, uid in self._known.items() if name in names}

    def is_awaited(self, names: frozenset[str]) -> bool:
        """Whether it is not known yet of one of these whether there is such a user."""
        self._find_new(names)
        return not names <= self._known.keys()

    def close(self) -> None:
        self._is_closed = True

    def _find_new(self, asked: frozenset[str]) -> None:
        """Where too many are looked up already, once one of these is found."""
        names = asked.difference(self._known, *(look.names for look in self._new))
        if not names or len(self._new) >= MAX_LOOKS:
            return
        look = _Look(names)
        try:
            do_beside(look.run, lambda _: self._found_new(look))
        except RuntimeError:  # no more threads
            look.found = _find_now(names)
        else:
            self._new.append(look)
            if not look.is_over.wait(MOMENT_S):
                return
            self._new.remove(look)
        self._known |= look.found

    def _found_new(self, look: _Look) -> None:
        if look in self._new:  # else it was waited for
            self._new.remove(look)
            self._late = (self._late if len(self._late) < MAX_LATE else set()) | look.names
            self._take(look.found or dict.fromkeys(look.names))

    def _look_again(self) -> None:
        if self._is_looking:
            self._is_stale = True
            return
        names = tuple(self._known)
        with suppress(RuntimeError):  # no more threads: what is known holds, as it does until the look is done
            do_beside(lambda: _find_at_last(names), self._looked)
            self._is_looking = True

    def _looked(self, found: _Uids | None) -> None:
        self._is_looking = False
        is_new = self._take({name: uid for name, uid in (found or {}).items() if name in self._known})
        if self._is_stale and not (is_new or self._is_closed):
            self._is_stale = False
            self._look_again()

    def _take(self, found: _Uids) -> bool:
        """Whether there is news: whoever is told of it asks, and so looks once more."""
        is_new = not self._is_closed and not found.items() <= self._known.items()
        if is_new:
            self._known |= found
            self._changed()
        return is_new


def _find_now(names: Iterable[str]) -> _Uids:
    """Raises OSError for want of descriptors or memory."""
    return {name: find_uid(name) for name in names}


def _find_at_last(names: Iterable[str]) -> _Uids:
    """Beside the loop: a shortage says nothing of a name, and is waited out. Until then what is known holds."""
    while True:
        try:
            return _find_now(names)
        except OSError as error:
            if not is_shortage(error):
                raise
        sleep(AGAIN_S)
