"""libbpf 1.x through cffi. Calls keep libbpf's names and meaning; errors become SnitchError with a hint.

Not thread-safe: every Map reuses its buffers, which makes look-ups cheap.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from struct import Struct
from typing import Any, Generic, NoReturn, Protocol, TypeVar

from tinysnitch.core.model.errors import NotPermitted, SnitchError, hint_for

LIBRARY = "libbpf.so.1"
BPF_ANY = 0
BPF_NOEXIST = 1
_ETHERNET_SIZE = 14  # of the header in front of what a socket filter sees (bpf_prog_test_run_skb())
_LOG_SIZE = 1 << 20
TAKEN = 1024  # entries that are read at once; more than there are in one bucket of a hash table
_LOG_LINES = 6  # the verifier names the reason at the end
_ROOT_HINT = "run it as root, with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, on a kernel that is not locked down"

K = TypeVar("K")
V = TypeVar("V")


class Layout(Protocol[V]):
    """How objects are written as bytes: a class of layout.py, or a Scalar."""

    @property
    def FORMAT(self) -> Struct: ...
    def pack_into(self, value: V, buffer: Any, /) -> None: ...  # noqa: ANN401
    def unpack_from(self, buffer: Any, offset: int = 0, /) -> V: ...  # noqa: ANN401


class Scalar:
    """A plain number, as the key or the value of a map."""

    def __init__(self, code: str) -> None:
        self.FORMAT = Struct(f"={code}")

    def pack_into(self, value: int, buffer: Any, /) -> None:  # noqa: ANN401
        self.FORMAT.pack_into(buffer, 0, value)

    def unpack_from(self, buffer: Any, offset: int = 0, /) -> int:  # noqa: ANN401
        return int(self.FORMAT.unpack_from(buffer, offset)[0])


U32 = Scalar("I")
U64 = Scalar("Q")


@cache
def _open_library() -> tuple[Any, Any]:
    """cffi's ffi and the library, which prints nothing: what matters of its messages is in our errors."""
    try:
        from tinysnitch.kernel.bpf._libbpf_abi import ffi
    except ModuleNotFoundError as error:
        raise SnitchError("the description of libbpf is not built", "run `make setup`") from error
    try:
        library = ffi.dlopen(LIBRARY)
    except OSError as error:
        raise SnitchError(f"{LIBRARY} does not load: {error}", "install libbpf1 (libbpf 1.0 or newer)") from error
    library.libbpf_set_print(ffi.NULL)
    return ffi, library


def check_library() -> None:
    """Raises SnitchError when libbpf cannot be used here."""
    _open_library()


def raise_errno(what: str, number: int) -> NoReturn:
    message = f"{what}: {os.strerror(number)}"
    if number == errno.EPERM:
        raise NotPermitted(message, _ROOT_HINT)
    raise SnitchError(message, hint_for(OSError(number, message), "`tinysnitch-trace` checks whether BPF works here"))


def _check(result: int, what: str) -> int:
    """The result of a call; SnitchError if it is negative, which means an errno."""
    if result < 0:
        raise_errno(what, -result)
    return result


class Link:
    """A program at its hook, until this is closed; if it was pinned, until the pin is removed."""

    def __init__(self, pointer: Any) -> None:  # noqa: ANN401  (a cffi pointer)
        _ffi, self._library = _open_library()
        self._pointer = pointer

    def pin(self, path: Path) -> None:
        _check(self._library.bpf_link__pin(self._pointer, os.fsencode(path)), f"pinning {path}")

    def run_iterator(self) -> None:
        """Run an iterator over this network namespace. Raises SnitchError, OSError."""
        _run_iterator(self._library.bpf_link__fd(self._pointer))

    def close(self) -> None:
        self._library.bpf_link__destroy(self._pointer)


def _run_iterator(link_fd: int) -> None:
    """Reading an iterator runs it."""
    _ffi, library = _open_library()
    with open(_check(library.bpf_iter_create(link_fd), "starting an iterator"), "rb", buffering=0) as iterator:
        iterator.read()


class PinnedIterator:
    def __init__(self, path: Path) -> None:
        self._fd = open_pinned(path)

    def run(self) -> None:
        """Run it over this network namespace. Raises SnitchError, OSError."""
        _run_iterator(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class ObjectFile:
    """One loaded .bpf.o. Its maps are pinned in `maps_dir`, or reused if they are pinned there already."""

    def __init__(self, path: Path, maps_dir: Path) -> None:
        self._ffi, self._library = _open_library()
        self._path = path
        self._log = self._ffi.new("char[]", _LOG_SIZE)
        self._pointer = self._open(maps_dir)
        failed = self._library.bpf_object__load(self._pointer)
        if failed:
            log = self._ffi.string(self._log).decode("utf-8", "replace")
            self.close()
            raise_load_failure(path.name, -failed, log)

    def _open(self, maps_dir: Path) -> Any:  # noqa: ANN401  (a cffi pointer)
        opts = self._ffi.new("struct bpf_object_open_opts *")
        root = self._ffi.new("char[]", os.fsencode(maps_dir))
        opts.sz = self._ffi.sizeof("struct bpf_object_open_opts")
        opts.pin_root_path = root
        opts.kernel_log_buf, opts.kernel_log_size = self._log, _LOG_SIZE
        pointer = self._library.bpf_object__open_file(os.fsencode(self._path), opts)
        if pointer == self._ffi.NULL:
            raise_errno(f"opening {self._path}", self._ffi.errno)
        return pointer

    def _program(self, name: str) -> Any:  # noqa: ANN401  (a cffi pointer)
        program = self._library.bpf_object__find_program_by_name(self._pointer, name.encode())
        if program == self._ffi.NULL:
            raise SnitchError(f"{self._path} has no program {name}", "run `make setup` to compile it anew")
        return program

    def pin_program(self, name: str, path: Path) -> None:
        _check(self._library.bpf_program__pin(self._program(name), os.fsencode(path)), f"pinning {path}")

    def attach(self, name: str) -> Link:
        """Attach it to the hook that the program's section names."""
        return self._link(name, self._library.bpf_program__attach(self._program(name)))

    def attach_cgroup(self, name: str, cgroup_fd: int) -> Link:
        return self._link(name, self._library.bpf_program__attach_cgroup(self._program(name), cgroup_fd))

    def _link(self, name: str, pointer: Any) -> Link:  # noqa: ANN401  (a cffi pointer)
        if pointer == self._ffi.NULL:
            raise_errno(f"attaching {name}", self._ffi.errno)
        return Link(pointer)

    def close(self) -> None:
        """Unload it, but for what is pinned."""
        self._library.bpf_object__close(self._pointer)


def raise_load_failure(name: str, number: int, log: str) -> NoReturn:
    """EACCES and EINVAL come from the verifier, which says why; EPERM from the kernel's permission checks."""
    reason = "; ".join(line.strip() for line in log.strip().splitlines()[-_LOG_LINES:])
    if number == errno.EPERM:
        raise NotPermitted(f"loading {name}: {os.strerror(number)}", _ROOT_HINT)
    message = f"loading {name}: {os.strerror(number)}"
    raise SnitchError(f"{message}: {reason}" if reason else message, "it needs Linux 6.1 or newer with BTF")


def open_pinned(path: Path) -> int:
    """A file descriptor of a pinned map, program or link."""
    _ffi, library = _open_library()
    return _check(library.bpf_obj_get(os.fsencode(path)), f"opening {path}")


@contextmanager
def opened_pin(path: Path) -> Iterator[int]:
    """The same, closed at the end: a memory map or the reading end of a ring buffer outlives the descriptor."""
    fd = open_pinned(path)
    try:
        yield fd
    finally:
        os.close(fd)


def count_possible_cpus() -> int:
    """How many values a per-CPU map has for each key."""
    _ffi, library = _open_library()
    return _check(library.libbpf_num_possible_cpus(), "counting CPUs")


class Map(Generic[K, V]):
    """A pinned map. `values` above 1: a per-CPU map with so many for each key."""

    def __init__(self, path: Path, key: Layout[K], value: Layout[V], values: int = 1) -> None:
        ffi, self._library = _open_library()
        self.path = path
        self.turned_away = 0  # writes that found no room
        self.fd = open_pinned(path)
        self._key = ffi.new("char[]", key.FORMAT.size)
        self._value = ffi.new("char[]", value.FORMAT.size * values)
        self._key_view, self._value_view = ffi.buffer(self._key), ffi.buffer(self._value)
        self._pack_key, self._pack_value = key.pack_into, value.pack_into
        self._unpack_key, self._unpack_value = key.unpack_from, value.unpack_from
        self._offsets = range(0, len(self._value_view), value.FORMAT.size)
        self._lookup, self._update = self._library.bpf_map_lookup_elem, self._library.bpf_map_update_elem

    def close(self) -> None:
        os.close(self.fd)

    def find(self, key: K) -> V | None:
        self._pack_key(key, self._key_view)
        failed = self._lookup(self.fd, self._key, self._value)
        if not failed:
            return self._unpack_value(self._value_view)
        if failed != -errno.ENOENT:
            raise_errno(f"reading {self.path}", -failed)
        return None

    def keys(self) -> Iterator[K]:
        """All keys. While others write, keys may come again without an end: take no more than the map can have."""
        ffi, library = _open_library()
        key, current = ffi.new("char[]", len(self._key_view)), ffi.NULL
        while not (failed := library.bpf_map_get_next_key(self.fd, current, key)):
            current = key
            yield self._unpack_key(ffi.buffer(key))
        if failed != -errno.ENOENT:
            raise_errno(f"reading {self.path}", -failed)

    def take_all(self) -> Iterator[tuple[K, V]]:
        """All entries, which are deleted. For a hash table that nobody writes meanwhile."""
        ffi, library = _open_library()
        key_size, value_size = len(self._key_view), len(self._value_view)
        keys, values = ffi.new("char[]", TAKEN * key_size), ffi.new("char[]", TAKEN * value_size)
        cursor, count, begin, failed = ffi.new("uint32_t *"), ffi.new("uint32_t *"), ffi.NULL, 0
        while not failed:
            count[0] = TAKEN
            failed = library.bpf_map_lookup_and_delete_batch(self.fd, begin, cursor, keys, values, count, ffi.NULL)
            if failed not in (0, -errno.ENOENT):
                raise_errno(f"reading {self.path}", -failed)
            begin = cursor
            key_view, value_view = ffi.buffer(keys), ffi.buffer(values)
            for at in range(count[0]):
                yield self._unpack_key(key_view, at * key_size), self._unpack_value(value_view, at * value_size)

    def find_each(self, key: K) -> list[V]:
        """The values of all CPUs."""
        found = self.find(key) is not None
        return [self._unpack_value(self._value_view, offset) for offset in self._offsets] if found else []

    def write(self, key: K, value: V, flags: int = BPF_ANY) -> bool:
        """False: the map is full, or with BPF_NOEXIST the key is there already."""
        self._pack_key(key, self._key_view)
        self._pack_value(value, self._value_view)
        failed = self._update(self.fd, self._key, self._value, flags)
        if failed == -errno.E2BIG:  # alloc_htab_elem() in kernel/bpf/hashtab.c
            self.turned_away += 1
        elif failed and failed != -errno.EEXIST:
            raise_errno(f"writing {self.path}", -failed)
        return not failed

    def delete(self, key: K) -> bool:
        """False: the key was not there."""
        self._pack_key(key, self._key_view)
        failed = self._library.bpf_map_delete_elem(self.fd, self._key)
        if failed and failed != -errno.ENOENT:
            raise_errno(f"deleting from {self.path}", -failed)
        return not failed


class PinnedProgram(Generic[V]):
    """A pinned socket filter that user space runs, on one object at a time (BPF_PROG_TEST_RUN)."""

    def __init__(self, path: Path, argument: Layout[V]) -> None:
        ffi, self._library = _open_library()
        self._path, self._pack = path, argument.pack_into
        self._fd = open_pinned(path)
        self._data = ffi.new("char[]", _ETHERNET_SIZE + argument.FORMAT.size)
        self._view = memoryview(ffi.buffer(self._data))
        self._opts = ffi.new("struct bpf_test_run_opts *")
        self._opts.sz = ffi.sizeof("struct bpf_test_run_opts")
        self._opts.data_in, self._opts.data_size_in, self._opts.repeat = self._data, len(self._view), 1

    def run(self, argument: V) -> int:
        """Run it; returns what the program returns."""
        self._pack(argument, self._view[_ETHERNET_SIZE:])
        failed = self._library.bpf_prog_test_run_opts(self._fd, self._opts)
        if failed:
            raise_errno(f"running {self._path}", -failed)
        return int(self._opts.retval)

    def close(self) -> None:
        os.close(self._fd)


class Ring:
    """The reading end of a pinned ring buffer; `fd` becomes readable when it holds something."""

    def __init__(self, path: Path) -> None:
        self._ffi, self._library = _open_library()
        self._callback = self._ffi.callback("int(void *, void *, size_t)", self._receive)  # must outlive the ring
        self._samples: list[bytes] = []
        with opened_pin(path) as map_fd:
            self._ring = self._library.ring_buffer__new(map_fd, self._callback, self._ffi.NULL, self._ffi.NULL)
        if self._ring == self._ffi.NULL:
            raise_errno("opening the ring buffer", self._ffi.errno)

    def _receive(self, _ctx: Any, data: Any, size: int) -> int:  # noqa: ANN401  (cffi pointers)
        self._samples.append(bytes(self._ffi.buffer(data, size)))
        return 0

    @property
    def fd(self) -> int:
        return int(self._library.ring_buffer__epoll_fd(self._ring))

    def consume(self) -> list[bytes]:
        """All samples that are there; never waits."""
        _check(self._library.ring_buffer__consume(self._ring), "reading the ring buffer")
        samples, self._samples = self._samples, []
        return samples

    def close(self) -> None:
        self._library.ring_buffer__free(self._ring)
