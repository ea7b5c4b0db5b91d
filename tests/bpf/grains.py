"""The grains of programs in Python: what bpf/identity/grain.bpf.h hashes, by SipHash-2-4 as it is published."""

from collections.abc import Iterable
from typing import NamedTuple

from tests.bpf.pinned_tables import read_setting
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.images import Image, encode_image
from tinysnitch.kernel.bpf.programs import BpfPrograms

_FILE, _ARGS, _LINEAGE, _EXEC = range(1, 5)  # enum hashed
_NO_FILE = layout.IMAGE_PATH_CUT | layout.IMAGE_DELETED | layout.IMAGE_UNLINKED | layout.IMAGE_USER_NAMESPACE
_NO_ARGS = layout.IMAGE_ARGS_CUT | layout.IMAGE_ARGS_UNREADABLE
_WORD = (1 << 64) - 1
_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


class Key(NamedTuple):
    low: int
    high: int


class Known(NamedTuple):
    """The grains of one image."""

    file: int
    args: int
    lineage: int


def read_key(programs: BpfPrograms) -> Key:
    return Key(read_setting(programs, "hash_key_low"), read_setting(programs, "hash_key_high"))


def siphash(key: Key, words: Iterable[int]) -> int:
    """SipHash-2-4 (Aumasson and Bernstein, 2012, 2.1) of these words of 8 bytes."""
    state = [start ^ half for start, half in zip(_START, (*key, *key), strict=True)]
    for word in words:
        state[3] ^= word
        _mix(state, 2)
        state[0] ^= word
    state[2] ^= 0xFF
    _mix(state, 4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _mix(state: list[int], rounds: int) -> None:
    v0, v1, v2, v3 = state
    for _ in range(rounds):
        v0 = v0 + v1 & _WORD
        v2 = v2 + v3 & _WORD
        v1, v3 = _rotate(v1, 13) ^ v0, _rotate(v3, 16) ^ v2
        v0 = _rotate(v0, 32)
        v2 = v2 + v1 & _WORD
        v0 = v0 + v3 & _WORD
        v1, v3 = _rotate(v1, 17) ^ v2, _rotate(v3, 21) ^ v0
        v2 = _rotate(v2, 32)
    state[:] = v0, v1, v2, v3


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> 64 - bits) & _WORD


def words_of(text: bytes) -> list[int]:
    """The size of a text, and its words."""
    return [len(text), *(int.from_bytes(text[at : at + 8], "little") for at in range(0, len(text), 8))]


def grains_of(key: Key, image: Image, parent: Image | None) -> Known:
    """What the kernel's side has to find. `parent`: the image with the exec id `parent_exec_id`, grains and all."""
    written = encode_image(image)
    file = args = lineage = 0
    if not image.flags & _NO_FILE:
        owner = [image.inode, image.cgroup_id, image.device << 32 | image.uid]
        file = siphash(key, [_FILE, *owner, *words_of(written.executable[: written.executable_size])])
    if file and not image.flags & _NO_ARGS:
        args = siphash(key, [_ARGS, file, *words_of(written.args[: written.args_size])])
    if file and parent and parent.args_id and parent.lineage_id:
        lineage = siphash(key, [_LINEAGE, parent.args_id, parent.lineage_id, file])
    elif file and parent:
        lineage = siphash(key, [_EXEC, image.parent_exec_id, file])
    return Known(file, args, lineage)
