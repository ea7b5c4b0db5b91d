"""A compiled list in a file that can be mapped: the trie, a summary of the list as JSON, and the summary's length.

The summary tells from which state of the list the file was made. The file is replaced whole, its content has a
checksum, and its folder belongs to root: what is mapped never changes.
"""

import os
import zlib
from functools import cache
from pathlib import Path

import msgspec

from tinysnitch.core.rules.list_entries import BadLine, find_source, parse_list
from tinysnitch.store.file_stamp import Stamp, read_stamp
from tinysnitch.store.remote_set import RemoteSet
from tinysnitch.store.whole_file import read_text, replace_bytes

_MAGIC = b"tinysnitch list 1\n"  # another number for another layout
_LENGTH_BYTES = 8
_CHUNK_BYTES = 1 << 20
_PACKAGE = Path(__file__).parents[1]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What people are told about a list, and what it was compiled from."""

    stamp: Stamp
    names: int
    addresses: int
    networks: int  # of more than one address
    bad_lines: int
    bad_examples: tuple[BadLine, ...]
    source: str | None
    made_by: int = 0  # sum_of_reader() of the build that compiled it; 0: a build that did not say

    def is_of(self, stamp: Stamp) -> bool:
        """Whether it was compiled from this state of the file, and by code like ours."""
        return self.stamp == stamp and self.made_by == sum_of_reader()


class CompiledList(msgspec.Struct, frozen=True):
    remotes: RemoteSet
    summary: Summary


class _Trailer(msgspec.Struct, frozen=True):
    summary: Summary
    crc32: int  # of the trie before it


def compile_list(path: Path) -> CompiledList:
    """Read the list and hold it in memory. Raises OSError."""
    stamp = read_stamp(path)  # before the text: a change in between then leads to another stamp
    text = read_text(path)
    content = parse_list(text)
    summary = Summary(
        stamp=stamp,
        names=len(content.names),
        addresses=content.addresses,
        networks=len(content.networks) - content.addresses,
        bad_lines=content.bad_lines,
        bad_examples=content.bad_examples,
        source=find_source(text),
        made_by=sum_of_reader(),
    )
    return CompiledList(RemoteSet(content.names, content.networks), summary)


@cache
def sum_of_reader(package: Path = _PACKAGE) -> int:
    """A checksum of the source code that may read a list: another build may understand the same file otherwise."""
    core = package / "core"
    crc32 = 0
    for path in sorted([*core.glob("model/*.py"), *core.glob("rules/*.py"), package / "store" / "remote_set.py"]):
        crc32 = zlib.crc32(path.read_bytes(), crc32)
    return crc32


def save_compiled(compiled: CompiledList, path: Path) -> None:
    """Replace the file. Raises OSError."""
    trie = compiled.remotes.to_bytes()
    trailer = msgspec.json.encode(_Trailer(compiled.summary, zlib.crc32(trie)))
    replace_bytes(path, b"".join((trie, trailer, len(trailer).to_bytes(_LENGTH_BYTES), _MAGIC)), 0o600)


def map_compiled(path: Path) -> CompiledList | None:
    """Map the compiled list; None when there is no file or it is damaged."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # does not wait for a writer: fifo(7)
    except OSError:
        return None
    try:
        return _map(fd)
    except (OSError, RuntimeError, msgspec.MsgspecError):  # RuntimeError: what marisa-trie refuses
        return None
    finally:
        os.close(fd)  # a mapping outlives its descriptor (mmap(2))


def _map(fd: int) -> CompiledList | None:
    end = os.fstat(fd).st_size - len(_MAGIC)
    if end < _LENGTH_BYTES or os.pread(fd, len(_MAGIC), end) != _MAGIC:
        return None
    end -= _LENGTH_BYTES
    length = int.from_bytes(os.pread(fd, _LENGTH_BYTES, end))
    if length > end:
        return None
    trailer = msgspec.json.decode(os.pread(fd, length, end - length), type=_Trailer)
    if _sum_of(fd, end - length) != trailer.crc32:
        return None
    return CompiledList(RemoteSet.map_file(fd), trailer.summary)


def _sum_of(fd: int, size_bytes: int) -> int:
    """The checksum of the first bytes. Read, not mapped, so that no page of it counts as our memory."""
    crc32 = 0
    for start in range(0, size_bytes, _CHUNK_BYTES):
        crc32 = zlib.crc32(os.pread(fd, min(_CHUNK_BYTES, size_bytes - start), start), crc32)
    return crc32
