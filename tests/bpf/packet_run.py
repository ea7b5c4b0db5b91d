"""Runs pinned socket filters on packets that are on no wire (BPF_PROG_TEST_RUN)."""

import os
import struct
from pathlib import Path

from tinysnitch.core.model.flow import TCP, UDP, Direction, Flow, parse_address
from tinysnitch.kernel.bpf import libbpf

_SK_BUFF = struct.Struct("=176xI12x")  # struct __sk_buff (linux/bpf.h) with its gso_size; the rest must be zero
_SYN = 2
_ECHO = 8


class PinnedFilter:
    """The program pinned at `path`, held open."""

    def __init__(self, path: Path) -> None:
        ffi, self._library = libbpf._open_library()
        self._fd = libbpf.open_pinned(path)
        self._ffi = ffi
        self._options = ffi.new(
            "struct bpf_test_run_opts *", {"sz": ffi.sizeof("struct bpf_test_run_opts"), "repeat": 1}
        )

    def close(self) -> None:
        os.close(self._fd)

    def run(self, packet: bytes, gso_size: int = 0) -> int:
        """What it returns. `gso_size`: of the datagrams that the kernel put together."""
        framed = bytes(12) + b"\x08\x00" + packet  # an Ethernet header in front, which the program does not see
        options, context = self._options, self._ffi.from_buffer(_SK_BUFF.pack(gso_size))
        data = self._ffi.from_buffer(framed)
        options.data_in, options.data_size_in = data, len(data)
        options.ctx_in, options.ctx_size_in = context, len(context)
        options.data_size_out = options.ctx_size_out = 0  # the kernel has told its size, and would take it for room
        failed = self._library.bpf_prog_test_run_opts(self._fd, options)
        assert not failed, failed
        return int(options.retval)


def run_on_packet(path: Path, packet: bytes, gso_size: int = 0) -> int:
    """What the program pinned at `path` returns."""
    opened = PinnedFilter(path)
    try:
        return opened.run(packet, gso_size)
    finally:
        opened.close()


def make_udp(source: str, source_port: int, destination: str, destination_port: int) -> bytes:
    """A datagram over IPv4 without data; its checksums are not filled in."""
    ends = parse_address(source), source_port, parse_address(destination), destination_port
    return make_packet(Flow(UDP, Direction.OUTBOUND, *ends))


def make_packet(flow: Flow) -> bytes:
    """The first packet of a flow over IPv4: a SYN, a datagram without data, or an echo request."""
    ends = [(flow.local, flow.local_port), (flow.remote, flow.remote_port)]
    (source, source_port), (destination, port) = ends if flow.direction is Direction.OUTBOUND else reversed(ends)
    if flow.protocol == TCP:
        inner = struct.pack("!HHIIBBHHH", source_port, port, 1, 0, 5 << 4, _SYN, 0, 0, 0)
    elif flow.protocol == UDP:
        inner = struct.pack("!HHHH", source_port, port, 8, 0)
    else:
        inner = struct.pack("!BBHHH", _ECHO, 0, 0, flow.local_port, 1)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(inner), 0, 0, 64, flow.protocol, 0)
    return header + source[12:] + destination[12:] + inner
