"""Copies the conversations that the BPF programs of another build know, if both lay them out alike.

Exec ids differ between builds. So the owner of a conversation is taken from its socket, which bootstrap.py wrote
before. What the old programs note after the copy is lost, and noted anew when the program sends next.
"""

import hashlib
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.bpf.layout import EXEC_ID_KERNEL, Conversation, FlowKey
from tinysnitch.kernel.bpf.libbpf import BPF_NOEXIST, Map
from tinysnitch.kernel.bpf.maps import BpfMaps
from tinysnitch.kernel.bpf.pins import PinFolder

# The name of a pin folder begins with this. A field whose meaning changes must get another name.
_LAID_OUT = [(each.FORMAT.format, each.OFFSETS) for each in (FlowKey, Conversation)]
LAYOUT = hashlib.sha256(repr(_LAID_OUT).encode()).hexdigest()[:8]
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
            if value := known.find(key):
                _take_over(maps, getattr(maps, table), key, value)


def _open(folder: PinFolder, table: str) -> Map[FlowKey, Conversation]:
    return Map(folder.map_path(table), FlowKey, Conversation)


def _take_over(maps: BpfMaps, table: Map[FlowKey, Conversation], key: FlowKey, value: Conversation) -> None:
    """With generation 0, since no rule of this daemon allowed it: if not answered yet, it is judged once more."""
    value = replace(value, judged_ns=0, generation=0)
    if value.exec_id != EXEC_ID_KERNEL:
        socket = maps.sockets.find(value.cookie)
        if socket is None:  # it was closed
            return
        value = replace(value, exec_id=socket.owner.exec_id, pid=socket.owner.pid, uid=socket.owner.uid)
    table.write(key, value, BPF_NOEXIST)
