"""The objects are compiled, hold what is asked of them, and a change shows in the digest."""

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from struct import iter_unpack, unpack_from
from typing import Any

import pytest

from tests.bpf.bpf_place import BpfPlace
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.kernel.bpf import libbpf
from tinysnitch.kernel.bpf import objects as bpf_objects
from tinysnitch.kernel.bpf.libbpf import ObjectFile, open_pinned

# The start of the daemon waits for them, at 1 us each; the largest object takes 106_000 on 6.18.
MANY_STEPS = 200_000
SHF_EXECINSTR = 4
# Structs and fields that a kernel has by its configuration
LACKING = {
    "ipv6": [b"skc_v6_daddr", b"skc_v6_rcv_saddr"],
    "mptcp": [b"is_mptcp", b"mptcp_sock", b"mptcp_subflow_context"],
    "smc": [b"syn_smc"],
}


def test_all_objects_are_compiled() -> None:
    assert bpf_objects.missing_objects() == []


@pytest.mark.parametrize("name", bpf_objects.PROGRAMS)
def test_each_object_holds_its_programs(name: str) -> None:
    raw = bpf_objects.object_path(name).read_bytes()
    assert all(program.encode() in raw for program in bpf_objects.PROGRAMS[name])


def test_the_digest_changes_with_any_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bpf_objects.read_digest()
    for name in bpf_objects.PROGRAMS:
        (tmp_path / f"{name}.bpf.o").write_bytes(bpf_objects.object_path(name).read_bytes())
    monkeypatch.setattr(bpf_objects, "FOLDER", tmp_path)
    assert bpf_objects.read_digest() == before
    (tmp_path / "socket.bpf.o").write_bytes(b"")
    assert bpf_objects.read_digest() != before


def find_code(raw: bytes) -> Iterator[bytes]:
    """The sections of an object that are code: ELF-64 Object File Format 1.5, chapters 2 and 4."""
    headers_at, entry_size, count = *unpack_from("=Q", raw, 40), *unpack_from("=HH", raw, 58)
    for number in range(count):
        flags, _address, offset, size = unpack_from("=QQQQ", raw, headers_at + number * entry_size + 8)
        if flags & SHF_EXECINSTR:
            yield raw[offset : offset + size]


def find_helpers(raw: bytes) -> set[int]:
    """Which numbers of enum bpf_func_id (linux/bpf.h) are called: BPF_JMP | BPF_CALL without a pseudo register."""
    words = chain.from_iterable(iter_unpack("=BBhi", code) for code in find_code(raw))
    return {number for code, *rest, number in words if (code, *rest) == (0x85, 0, 0)}


@pytest.mark.parametrize("name", ["verdict", "rate_limit", "sync"])
def test_a_socket_filter_calls_what_it_may_on_the_oldest_kernel(name: str) -> None:
    """Linux 6.1, says the README: sk_filter_func_proto() and bpf_base_func_proto(). Else all of BPF does not load."""
    maps, packets, memory, task, clocks, loop = {1, 2, 3}, {26, 46}, {113}, {158}, {125, 160}, {164, 181}
    ring = {131, 132, 133}
    called = find_helpers(bpf_objects.object_path(name).read_bytes())
    assert called <= maps | packets | memory | task | clocks | loop | ring


def test_a_missing_object_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf_objects, "FOLDER", tmp_path)
    assert len(bpf_objects.missing_objects()) == len(bpf_objects.PROGRAMS) + len(bpf_objects.PACKET_PROGRAMS) + 2
    with pytest.raises(SnitchError, match=r"process\.bpf\.o"):
        bpf_objects.read_digest()


class WithOtherTypes:
    """libbpf, which takes the types of another kernel for this one's (bpf_object_open_opts.btf_custom_path)."""

    def __init__(self, types: Path) -> None:
        self.ffi, self._library = libbpf._open_library()
        self._types = self.ffi.new("char[]", os.fsencode(types))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (a function of libbpf's)
        return getattr(self._library, name)

    def bpf_object__open_file(self, path: bytes, opts: Any) -> Any:  # noqa: ANN401  (cffi pointers)
        opts.btf_custom_path = self._types
        return self._library.bpf_object__open_file(path, opts)


@pytest.mark.privileged
@pytest.mark.core_lab
@pytest.mark.parametrize("names", LACKING.values(), ids=LACKING)
def test_all_load_where_the_kernel_was_built_without(
    place: BpfPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[bytes]
) -> None:
    """Elsewhere what is not there could not be read; all of BPF would not load for it."""
    types = Path("/sys/kernel/btf/vmlinux").read_bytes()
    for name in names:
        types = types.replace(b"\0%b\0" % name, b"\0%b\0" % (b"x" * len(name)))
    (tmp_path / "types").write_bytes(types)
    library = WithOtherTypes(tmp_path / "types")
    monkeypatch.setattr(libbpf, "_open_library", lambda: (library.ffi, library))
    for name in (*bpf_objects.PROGRAMS, bpf_objects.LIST_OBJECT, bpf_objects.TRACE_OBJECT):
        ObjectFile(bpf_objects.object_path(name), place.bpffs).close()


def count_verified(path: Path) -> int:
    """Instructions that the verifier went through, some of them often (kernel/bpf/syscall.c, bpf_prog_show_fdinfo)."""
    fd = open_pinned(path)
    try:
        (count,) = re.findall(r"^verified_insns:\t(\d+)$", Path(f"/proc/self/fdinfo/{fd}").read_text(), re.MULTILINE)
        return int(count)
    finally:
        os.close(fd)


@pytest.mark.privileged
@pytest.mark.core_lab
@pytest.mark.parametrize("name", bpf_objects.PROGRAMS)
def test_the_verifier_is_soon_done(place: BpfPlace, name: str) -> None:
    file = ObjectFile(bpf_objects.object_path(name), place.bpffs)
    paths = [place.bpffs / program for program in bpf_objects.PROGRAMS[name]]
    for path in paths:
        file.pin_program(path.name, path)
    file.close()
    assert 0 < sum(map(count_verified, paths)) < MANY_STEPS
