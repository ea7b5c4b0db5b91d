"""BPF programs that are loaded once and lent to one test after the other: the kernel's verifier is most of a start.

A set is lent to one place at a time, with empty maps and nothing attached. Whoever borrows it pins and attaches it as a
daemon does, by the same code (kernel/bpf/pins.py), and removes its pins at the end; only the loading is left out.
"""

import ctypes
import errno
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import cache
from pathlib import Path
from unittest.mock import patch

from tests.lab.leftovers import own_name
from tests.lab.patience import PATIENCE
from tinysnitch.kernel.bpf import pins
from tinysnitch.kernel.bpf.layout import Settings
from tinysnitch.kernel.bpf.libbpf import ObjectFile, Ring, count_possible_cpus, open_pinned
from tinysnitch.kernel.bpf.objects import MAPS, PROGRAMS, object_path

_LIBBPF = ctypes.CDLL("libbpf.so.1", use_errno=True)
_DETACHED_S = 5 * PATIENCE  # the kernel detaches what is no longer pinned a moment later


class _Kind(IntEnum):
    """linux/bpf.h, enum bpf_map_type."""

    HASH = 1
    ARRAY = 2
    PERCPU_ARRAY = 6
    LRU_HASH = 9
    QUEUE = 22
    SK_STORAGE = 24
    RINGBUF = 27


class _MapInfo(ctypes.Structure):
    """The beginning of struct bpf_map_info."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("type", "id", "key_size", "value_size", "max_entries")]


class LoadedPrograms:
    """One set: the objects, and descriptors of their maps, for as long as this process runs."""

    def __init__(self) -> None:
        with _bpffs() as folder:
            self._objects = {name: ObjectFile(object_path(name), folder) for name in PROGRAMS}
            self._maps = {name: open_pinned(folder / name) for name in MAPS}
            self._rings = [Ring(folder / name) for name in ("questions", "traces")]

    @contextmanager
    def lent(self) -> Iterator[None]:
        """While the `with` block runs, whoever loads the objects in this process gets these, with empty maps."""
        self.is_detached()
        self._empty()
        with patch.object(pins, "ObjectFile", self._open):
            yield

    def _open(self, path: Path, maps_dir: Path) -> "_Lent":
        for name, descriptor in self._maps.items():
            if not (maps_dir / name).exists():
                _check(_LIBBPF.bpf_obj_pin(descriptor, os.fsencode(maps_dir / name)))
        return _Lent(self._objects[path.name.partition(".")[0]])

    def is_detached(self) -> bool:
        """Whether none of the programs runs any more, within a moment: they number each program that is started."""

        def counts() -> bool:
            before = self._read_settings()
            subprocess.run(["true"], check=True)
            return self._read_settings() != before

        deadline_s = time.monotonic() + _DETACHED_S
        while counts():
            if time.monotonic() > deadline_s:
                return False
        return True

    def _read_settings(self) -> bytes:
        settings = ctypes.create_string_buffer(Settings.FORMAT.size)
        _check(_LIBBPF.bpf_map_lookup_elem(self._maps["settings"], bytes(4), settings))
        return settings.raw

    def _empty(self) -> None:
        for ring in self._rings:
            ring.consume()
        for descriptor in self._maps.values():
            _empty_map(descriptor)


class _Lent:
    """A loaded object that outlives its borrower."""

    def __init__(self, loaded: ObjectFile) -> None:
        self.pin_program, self.attach, self.attach_cgroup = loaded.pin_program, loaded.attach, loaded.attach_cgroup

    def close(self) -> None:
        pass


_idle: list[LoadedPrograms] = []


def borrow() -> LoadedPrograms:
    """A set that nobody uses, loaded now unless one was given back. One that is still attached somewhere is left."""
    while _idle:
        if (found := _idle.pop()).is_detached():
            return found
    return LoadedPrograms()


def give_back(programs: LoadedPrograms) -> None:
    """Call it once the borrower has removed its pins, and its processes have ended."""
    _idle.append(programs)


@contextmanager
def _bpffs() -> Iterator[Path]:
    """A bpffs for a moment: what is open outlives it."""
    with tempfile.TemporaryDirectory(prefix=f"{own_name('bpf')}-") as folder:
        subprocess.run(["mount", "-t", "bpf", "bpf", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def _empty_map(descriptor: int) -> None:
    info, size = _MapInfo(), ctypes.c_uint32(ctypes.sizeof(_MapInfo))
    _check(_LIBBPF.bpf_obj_get_info_by_fd(descriptor, ctypes.byref(info), ctypes.byref(size)))
    match _Kind(info.type):
        case _Kind.HASH | _Kind.LRU_HASH:
            _empty_hash(descriptor, info.key_size)
        case _Kind.QUEUE:
            value = ctypes.create_string_buffer(info.value_size)
            while not _LIBBPF.bpf_map_lookup_and_delete_elem(descriptor, None, value):
                pass
        case _Kind.ARRAY | _Kind.PERCPU_ARRAY:
            _zero_array(descriptor, info)
        case _Kind.RINGBUF | _Kind.SK_STORAGE:
            pass  # `_rings` were read, and what is in sockets ends with these


def _empty_hash(descriptor: int, key_size: int) -> None:
    key = ctypes.create_string_buffer(key_size)
    while not _LIBBPF.bpf_map_get_next_key(descriptor, None, key):
        _LIBBPF.bpf_map_delete_elem(descriptor, key)
    assert ctypes.get_errno() == errno.ENOENT


def _zero_array(descriptor: int, info: _MapInfo) -> None:
    size = info.value_size
    if info.type == _Kind.PERCPU_ARRAY:
        size = (size + 7) // 8 * 8 * count_possible_cpus()
    if info.max_entries < 4096 or info.type == _Kind.PERCPU_ARRAY:
        zero = bytes(size)
        for index in range(info.max_entries):
            _check(_LIBBPF.bpf_map_update_elem(descriptor, ctypes.byref(ctypes.c_uint32(index)), zero, 0))
        return
    count = ctypes.c_uint32(info.max_entries)
    zeros = bytes(size * info.max_entries)
    _check(_LIBBPF.bpf_map_update_batch(descriptor, _numbers(info.max_entries), zeros, ctypes.byref(count), None))


@cache
def _numbers(count: int) -> bytes:
    return bytes((ctypes.c_uint32 * count)(*range(count)))


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
