"""A mirror of the verdicts that the kernel remembers, so that a new name for an address can take them back.

Rules: (1) an entry holds for one generation of the rules and until its expiry; (2) what falls out of here is
taken out of the kernel as well, so that no verdict lives there that a new name could not reach.
"""

import msgspec

from tinysnitch.core.model.tables import BoundedTable, TableStatistics
from tinysnitch.core.model.verdict_key import VerdictKey
from tinysnitch.core.policy.decision import Decision


class Remembered(msgspec.Struct, frozen=True, gc=False):
    decision: Decision
    expires_s: float | None  # boot-time seconds, None: never


class VerdictCache:
    def __init__(self, capacity: int) -> None:
        self._entries: BoundedTable[VerdictKey, Remembered] = BoundedTable(capacity)
        # Most addresses have one key, and a set takes 200 bytes: a single key stands here by itself.
        self._by_address: dict[bytes | None, VerdictKey | set[VerdictKey]] = {}

    def put(self, key: VerdictKey, remembered: Remembered) -> VerdictKey | None:
        """Store; returns the key that had to make room, which the kernel must forget too."""
        self._add_to_index(key)
        evicted = self._entries.put(key, remembered)
        if evicted is None:
            return None
        self._drop_from_index(evicted[0])
        return evicted[0]

    def find(self, key: VerdictKey, now_s: float) -> Remembered | None:
        """The verdict if it still holds at `now_s` (boot-time seconds)."""
        remembered = self._entries.find(key)
        if remembered is None or remembered.expires_s is None or now_s < remembered.expires_s:
            return remembered
        self._entries.pop(key)
        self._drop_from_index(key)
        return None

    def pop_address(self, address: bytes) -> tuple[VerdictKey, ...]:
        """Forget all verdicts for a remote address; return their keys."""
        found = self._by_address.pop(address, set())
        keys = tuple(found) if isinstance(found, set) else (found,)
        for key in keys:
            self._entries.pop(key)
        return keys

    def clear(self) -> None:
        """Forget all: the rules have another generation, and no verdict of the old one holds."""
        self._entries.clear()
        self._by_address.clear()

    def statistics(self) -> TableStatistics:
        return self._entries.statistics()

    def _add_to_index(self, key: VerdictKey) -> None:
        found = self._by_address.setdefault(key.remote, key)
        if isinstance(found, set):
            found.add(key)
        elif found != key:
            self._by_address[key.remote] = {found, key}

    def _drop_from_index(self, key: VerdictKey) -> None:
        found = self._by_address[key.remote]
        if isinstance(found, set):
            found.discard(key)
        if found == key or not found:
            del self._by_address[key.remote]
