"""Runs a pinned socket filter on a packet that is on no wire (BPF_PROG_TEST_RUN)."""

import struct
from pathlib import Path

from tinysnitch.core.model.flow import UDP
from tinysnitch.kernel.bpf import libbpf

_SK_BUFF = struct.Struct("=176xI12x")  # struct __sk_buff (linux/bpf.h) with its gso_size; the rest must be zero


def make_udp(source: str, source_port: int, destination: str, destination_port: int) -> bytes:
    """A datagram over IPv4 without data; its checksums are not filled in."""
    ends = b"".join(bytes(map(int, address.split("."))) for address in (source, destination))
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, UDP, 0)
    return header + ends + struct.pack("!HHHH", source_port, destination_port, 8, 0)


def run_on_packet(path: Path, packet: bytes, gso_size: int = 0) -> int:
    """What the program pinned at `path` returns. `gso_size`: of the datagrams that the kernel put together."""
    ffi, library = libbpf._open_library()
    framed = bytes(12) + b"\x08\x00" + packet  # an Ethernet header in front, which the program does not see
    data, context = ffi.from_buffer(framed), ffi.from_buffer(_SK_BUFF.pack(gso_size))
    options = ffi.new("struct bpf_test_run_opts *", {"sz": ffi.sizeof("struct bpf_test_run_opts"), "repeat": 1})
    options.data_in, options.data_size_in = data, len(data)
    options.ctx_in, options.ctx_size_in = context, len(context)
    with libbpf.opened_pin(path) as fd:
        assert not library.bpf_prog_test_run_opts(fd, options)
    return int(options.retval)
