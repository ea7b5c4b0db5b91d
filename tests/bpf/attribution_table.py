"""BPF's maps as plain dictionaries, for tests of what reads and writes them. BPF_NOEXIST holds here too."""

import os

import msgspec

from tinysnitch.core.model.flow import Flow
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.bpf.layout import EXEC_ID_UNKNOWN, IMAGE_BOOTSTRAPPED, FlowEntry, Listener, Owner, ProcessEntry
from tinysnitch.kernel.files.identity import encode_device


class DictTable:
    def __init__(self) -> None:
        self.flows: dict[Flow, FlowEntry] = {}
        self.images: dict[int, Image] = {}
        self.processes: dict[int, ProcessEntry] = {}
        self.owners: dict[int, Owner] = {}
        self.listeners: dict[tuple[int, int, bytes], Listener] = {}
        self.image_reads = 0
        self.is_full = False
        self.are_listeners_lost = True
        self.has_looked_at_the_kernels = False

    def find_flow(self, flow: Flow) -> FlowEntry | None:
        return self.flows.get(flow)

    def find_image(self, exec_id: int) -> Image | None:
        self.image_reads += 1
        return self.images.get(exec_id)

    def find_process(self, pid: int) -> ProcessEntry | None:
        return self.processes.get(pid)

    def find_owner(self, cookie: int) -> Owner | None:
        return self.owners.get(cookie)

    def find_sender(self, cookie: int) -> Owner | None:
        return self.owners.get(cookie)

    def is_socket_open(self, cookie: int) -> bool:
        return cookie in self.owners

    def add_image(self, image: Image) -> int:
        if self.is_full:
            return EXEC_ID_UNKNOWN
        exec_id = (1 << 63) + len(self.images)
        self.images[exec_id] = msgspec.structs.replace(image, exec_id=exec_id, flags=image.flags | IMAGE_BOOTSTRAPPED)
        return exec_id

    def add_process(self, pid: int, started_ns: int, exec_id: int) -> bool:
        is_new = pid not in self.processes
        self.processes.setdefault(pid, ProcessEntry(exec_id, started_ns))
        return is_new

    def add_owner(self, cookie: int, owner: Owner, remote: bytes, remote_port: int) -> bool:
        return self.owners.setdefault(cookie, owner) is owner

    def expect_all_listeners(self) -> None:
        self.are_listeners_lost = False

    def add_listener(self, protocol: int, port: int, address: bytes, listener: Listener) -> bool:
        return self.listeners.setdefault((protocol, port, address), listener) is listener

    def add_kernel_listeners(self) -> None:
        """None are there in a test."""
        self.has_looked_at_the_kernels = True

    def withdraw_listener(self, cookie: int) -> None:
        self.listeners = {key: each for key, each in self.listeners.items() if each.cookie != cookie}

    def withdraw_process(self, pid: int, exec_id: int) -> None:
        assert self.processes.pop(pid).exec_id == exec_id

    def replace_owner(self, cookie: int, owner: Owner) -> None:
        self.owners[cookie] = owner

    def remember_owner(self, flow: Flow, owner: Owner) -> None:
        if found := self.flows.get(flow):
            self.flows[flow] = FlowEntry(cookie=found.cookie, owner=owner)


def make_image(executable: str = "/usr/bin/env", *args: str, **fields: object) -> Image:
    """The image of a real file, as it would be captured."""
    try:
        file = os.stat(executable)
        device, inode = encode_device(file.st_dev), file.st_ino
    except OSError:
        device, inode = 1, 1
    image = Image(
        exec_id=100,
        parent_exec_id=0,
        inode=inode,
        cgroup_id=0,
        started_ns=1000,
        executed_ns=0,
        device=device,
        pid=2**22 + 1,  # nobody's
        parent_pid=0,
        uid=0,
        flags=0,
        executable=executable,
        directory="/",
        args=args,
    )
    return msgspec.structs.replace(image, **fields)
