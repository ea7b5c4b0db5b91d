"""Copies the conversations that the BPF programs of another build know, if both lay them out alike.

Exec ids differ between builds. So the owner of a conversation is taken from its socket, which was seeded before. What
the old programs note after the copy is lost, and noted anew when the program sends next.
"""

import hashlib
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.bpf.libbpf import BPF_NOEXIST, Fields, Map
from tinysnitch.kernel.bpf.maps import BpfMaps
from tinysnitch.kernel.bpf.pins import PinFolder
from tinysnitch.kernel.bpf.structs import CONVERSATION, EXEC_ID_KERNEL, FLOW_KEY

# The name of a pin folder begins with this. A field whose meaning changes must get another name.
LAYOUT = hashlib.sha256(repr((FLOW_KEY.fields, CONVERSATION.fields)).encode()).hexdigest()[:8]
_TABLES = ("conversations", "crowded")
_MOST = 65536  # max_entries of the larger one


def take_over(maps: BpfMaps, earlier: Iterable[Path]) -> None:
    """Copy from these pin folders; what cannot be read is left out without an error."""
    for folder in earlier:
        if folder.name.startswith(f"{LAYOUT}-"):
            for table in _TABLES:
                _copy(maps, PinFolder(folder), table)


def _copy(maps: BpfMaps, folder: PinFolder, table: str) -> None:
    with suppress(SnitchError, OSError), closing(_open(folder, table)) as known:
        for key in islice(known.keys(), _MOST):
            if value := known.find(*key):
                _take_over(maps, getattr(maps, table), key, value)


def _open(folder: PinFolder, table: str) -> Map:
    return Map(folder.map_path(table), FLOW_KEY.struct, CONVERSATION.struct)


def _take_over(maps: BpfMaps, table: Map, key: Fields, value: Fields) -> None:
    """With generation 0, since no rule of this daemon allowed it: if not answered yet, it is judged once more."""
    cookie, exec_id, seen_ns, _judged_ns, _generation, pid, uid, *ways = value
    if exec_id != EXEC_ID_KERNEL:
        owner = maps.sockets.find(cookie)
        if owner is None:  # it was closed
            return
        exec_id, _started_ns, pid, uid, *_ = owner
    table.write(key, (cookie, exec_id, seen_ns, 0, 0, pid, uid, *ways), BPF_NOEXIST)
