"""What earlier programs knew of talks goes over to those that replace them, where they wrote it down alike.

Whose a talk is its socket tells, which has an owner by the new programs' numbers once it was seeded. What earlier ones
learn between that and their end is lost, and learned anew by what the program sends next.
"""

import hashlib
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

from tinysnitch.core.errors import SnitchError
from tinysnitch.kernel.bpf_maps import BpfMaps
from tinysnitch.kernel.bpf_pins import PinFolder
from tinysnitch.kernel.bpf_structs import CONVERSATION, EXEC_ID_KERNEL, FLOW_KEY
from tinysnitch.kernel.libbpf import BPF_NOEXIST, Fields, Map

# The folder's name begins so. A field that means something else by now needs another name.
LAYOUT = hashlib.sha256(repr((FLOW_KEY.fields, CONVERSATION.fields)).encode()).hexdigest()[:8]
_MOST = 65536  # max_entries


def take_over(maps: BpfMaps, earlier: Iterable[Path]) -> None:
    """From these folders; what cannot be read is worth no trouble."""
    for folder in earlier:
        if folder.name.startswith(f"{LAYOUT}-"):
            with suppress(SnitchError, OSError), closing(_open(folder)) as known:
                for key in islice(known.keys(), _MOST):
                    if value := known.find(*key):
                        _take_over(maps, key, value)


def _open(folder: Path) -> Map:
    return Map(PinFolder(folder).map_path("conversations"), FLOW_KEY.struct, CONVERSATION.struct)


def _take_over(maps: BpfMaps, key: Fields, value: Fields) -> None:
    """No rule of this daemon's allowed it: one that was not answered yet is asked about once more."""
    cookie, exec_id, seen_ns, _judged_ns, _generation, pid, uid, *ways = value
    if exec_id != EXEC_ID_KERNEL:
        owner = maps.sockets.find(cookie)
        if owner is None:  # it was closed
            return
        exec_id, _started_ns, pid, uid, *_ = owner
    maps.conversations.write(key, (cookie, exec_id, seen_ns, 0, 0, pid, uid, *ways), BPF_NOEXIST)
