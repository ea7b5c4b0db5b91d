"""The pinned maps that user space reads and writes, and the program that changes those of ports, opened together.

The links are opened beside them: should others remove the pins (`rm -r /sys/fs/bpf/*`), the hooks stay as long as we.
"""

import os
from contextlib import ExitStack
from struct import Struct

from tinysnitch.kernel.bpf import structs as structs
from tinysnitch.kernel.bpf.libbpf import Map, PinnedProgram, count_possible_cpus, open_pinned
from tinysnitch.kernel.bpf.objects import SYNC_PROGRAM
from tinysnitch.kernel.bpf.pins import PinFolder, list_folder

_NUMBER = Struct("=I")
_WIDE_NUMBER = Struct("=Q")


class BpfMaps:
    def __init__(self, folder: PinFolder) -> None:
        self._folder = folder
        with ExitStack() as opened:
            self._opened = opened
            self.images = self._open("images", _WIDE_NUMBER, structs.IMAGE.struct)
            self.processes = self._open("processes", _NUMBER, structs.PROCESS.struct)
            self.sockets = self._open("sockets", _WIDE_NUMBER, structs.OWNED_SOCKET.struct)
            self.released = self._open("released", _WIDE_NUMBER, structs.OWNER.struct)
            self.flows = self._open("flows", structs.FLOW_KEY.struct, structs.FLOW.struct)
            self.conversations = self._open("conversations", structs.FLOW_KEY.struct, structs.CONVERSATION.struct)
            self.crowded = self._open("crowded", structs.FLOW_KEY.struct, structs.CONVERSATION.struct)
            self.watched = self._open("watched", structs.WATCH_KEY.struct, structs.WATCH.struct)
            self.verdicts = self._open("verdicts", structs.VERDICT_KEY.struct, structs.VERDICT_VALUE.struct)
            self.own_addresses = self._open("own_addresses", structs.OWN_KEY.struct, _NUMBER)
            self.statistics = self._open("statistics", _NUMBER, _WIDE_NUMBER, count_possible_cpus())
            self.claims = PinnedProgram(folder.program_path(SYNC_PROGRAM), structs.CLAIM.struct)
            opened.callback(self.claims.close)
            for link in list_folder(folder.link_path("")):
                opened.callback(os.close, open_pinned(link))
            self._opened = opened.pop_all()

    def _open(self, name: str, key: Struct, value: Struct, values: int = 1) -> Map:
        found = Map(self._folder.map_path(name), key, value, values)
        self._opened.callback(found.close)
        return found

    def close(self) -> None:
        self._opened.close()
