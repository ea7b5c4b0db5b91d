"""The uids of the users that rules name.

A name service may need the network, whose verdicts the loop gives: only a name that is new is waited for, and those
that are known are looked up again beside the loop.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress

from tinysnitch.core.rule import Rule
from tinysnitch.daemon.side_work import do_beside
from tinysnitch.store.rule_facts import find_uid, user_names

_Uids = dict[str, int | None]  # None: nobody has the name


class UserIds:
    def __init__(self, changed: Callable[[], object]) -> None:
        """`changed` is called when a name that is known stands for another uid now."""
        self._changed = changed
        self._known: _Uids = {}
        self._is_looking = False
        self._is_stale = False  # somebody asked during the look: what was found may be older than that
        self._is_closed = False

    def find(self, rules: Iterable[Rule]) -> dict[str, int]:
        """Of the users that these rules name, without names that nobody has."""
        known, names = self._known, user_names(rules)
        self._known = {name: known[name] if name in known else find_uid(name) for name in names}
        if not known.keys().isdisjoint(names):
            self._look_again()
        return {name: uid for name, uid in self._known.items() if uid is not None}

    def close(self) -> None:
        self._is_closed = True

    def _look_again(self) -> None:
        if self._is_looking:
            self._is_stale = True
            return
        names = tuple(self._known)
        with suppress(RuntimeError):  # no more threads: what is known holds, as it does until the look is done
            do_beside(lambda: {name: find_uid(name) for name in names}, self._looked)
            self._is_looking = True

    def _looked(self, found: _Uids | None) -> None:
        self._is_looking = False
        if self._is_closed:
            return
        news = {name: uid for name, uid in (found or {}).items() if self._known.get(name, uid) != uid}
        self._known |= news
        if news:
            self._changed()  # which asks, and so looks once more
        elif self._is_stale:
            self._is_stale = False
            self._look_again()
