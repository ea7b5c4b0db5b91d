"""The uids of the users that rules name, and the names of those who change rules.

A name service may need the network, and so our verdicts. Therefore names are looked up in threads; the loop waits only
MOMENT_S for a new name. Names that are known are looked up again each time, to notice changes.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from threading import Event
from time import sleep

from tinysnitch.core.model.errors import is_shortage
from tinysnitch.kernel.system.offload import Late, NoThread, Offload
from tinysnitch.kernel.system.users import find_name, find_uid

MOMENT_S = 0.2  # most name services read a file, which takes less than a millisecond
MAX_LOOKS = 16  # threads that look up new names
MAX_LATE = 64  # names that were found late are kept up to this number
AGAIN_S = 1.0  # how soon a look-up that lacked descriptors or memory is tried again

_Uids = dict[str, int | None]  # None: nobody has the name


class _Look:
    """One look-up of new names, in a thread."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.found = _Uids()
        self.is_over = Event()

    def run(self) -> None:
        self.found = _find_at_last(self.names)
        self.is_over.set()


class UserNames:
    """Who made a rule, for the comment behind it."""

    def __init__(self, offload: Offload | None = None) -> None:
        self._offload = offload or Offload(max_threads=4)
        self._known = {0: "root"}

    def find(self, uid: int) -> str:
        """The name, or the uid in digits if there is none or the name service does not say it within a moment."""
        if uid not in self._known:
            try:
                name = self._offload.finish(partial(find_name, uid), MOMENT_S)
            except (Late, NoThread):
                return str(uid)
            if len(self._known) >= MAX_LATE:
                self._known = {0: "root"}
            self._known[uid] = name or str(uid)
        return self._known[uid]


class UserIds:
    def __init__(self, changed: Callable[[], object], offload: Offload | None = None) -> None:
        """`changed` is called when a name has got another uid, or was found after the loop had ceased to wait."""
        self._changed = changed
        self._offload = offload or Offload()
        self._known: _Uids = {}
        self._new: list[_Look] = []  # look-ups of new names under way
        self._late = set[str]()  # known names that were found late: kept for the client that was told to try again
        self._is_looking = False  # known names are being looked up again
        self._is_stale = False  # `find` was called meanwhile: the result may be older than that call
        self._is_closed = False

    def find(self, names: frozenset[str]) -> _Uids:
        """The uids of these users, as far as they are known yet. Other names are forgotten."""
        self._late -= names
        self._known = {name: uid for name, uid in self._known.items() if name in names or name in self._late}
        if self._known:
            self._look_again()
        self._find_new(names)
        return {name: uid for name, uid in self._known.items() if name in names}

    def is_awaited(self, names: frozenset[str]) -> bool:
        """Whether one of these names is still being looked up for the first time."""
        self._find_new(names)
        return not names <= self._known.keys()

    def close(self) -> None:
        self._is_closed = True

    def _find_new(self, asked: frozenset[str]) -> None:
        """Look up the names that are new; if there are too many look-ups, only a later call does."""
        names = asked.difference(self._known, *(look.names for look in self._new))
        if not names or len(self._new) >= MAX_LOOKS:
            return
        look = _Look(names)
        try:
            self._offload.begin(look.run, lambda _: self._found_new(look))
        except NoThread:
            look.found = _find_now(names)
        else:
            self._new.append(look)
            if not look.is_over.wait(MOMENT_S):
                return
            self._new.remove(look)
        self._known |= look.found

    def _found_new(self, look: _Look) -> None:
        if look in self._new:  # else the loop has waited for it
            self._new.remove(look)
            self._late = (self._late if len(self._late) < MAX_LATE else set()) | look.names
            self._take(look.found or dict.fromkeys(look.names))

    def _look_again(self) -> None:
        if self._is_looking:
            self._is_stale = True
            return
        names = tuple(self._known)
        with suppress(NoThread):  # what is known holds, as it does until the look is done
            self._offload.begin(lambda: _find_at_last(names), self._looked)
            self._is_looking = True

    def _looked(self, found: _Uids | None) -> None:
        self._is_looking = False
        is_new = self._take({name: uid for name, uid in (found or {}).items() if name in self._known})
        if self._is_stale and not (is_new or self._is_closed):
            self._is_stale = False
            self._look_again()

    def _take(self, found: _Uids) -> bool:
        """Take what was found; whether it is news. If so `changed` leads to `find`, which looks up once more."""
        is_new = not self._is_closed and not found.items() <= self._known.items()
        if is_new:
            self._known |= found
            self._changed()
        return is_new


def _find_now(names: Iterable[str]) -> _Uids:
    """Raises OSError when descriptors or memory are short."""
    return {name: find_uid(name) for name in names}


def _find_at_last(names: Iterable[str]) -> _Uids:
    """As _find_now(), in a thread: wait until no shortage of descriptors or memory is in the way."""
    while True:
        try:
            return _find_now(names)
        except OSError as error:
            if not is_shortage(error):
                raise
        sleep(AGAIN_S)
