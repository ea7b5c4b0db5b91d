"""What runs, as captured at exec: an image of the maps with its paths and arguments as text, and the way back."""

import msgspec

from tinysnitch.core.model.undecoded import bytes_of, text_of
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.layout import (
    ARGS_SIZE,
    DIRECTORY_SIZE,
    EXECUTABLE_SIZE,
    IMAGE_ARGS_CUT,
    IMAGE_DIRECTORY_CUT,
    IMAGE_PATH_CUT,
    STARTED_AS_SIZE,
)


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, as captured at exec. A path that was cut starts without a slash, so that it equals no real one."""

    exec_id: int
    parent_exec_id: int  # 0: not known
    inode: int
    cgroup_id: int
    started_ns: int
    executed_ns: int  # boot-time clock, 0: not known
    device: int  # the superblock's s_dev: major << 20 | minor
    pid: int
    parent_pid: int
    uid: int
    flags: int  # IMAGE_...
    executable: str
    directory: str
    args: tuple[str, ...]  # argv, its first word too
    started_as: str = ""  # the path that the kernel was given, over links; cut where it is long. "": not known
    users: int = 1  # processes that run it
    file_id: int = 0  # keyed hashes, 0: none (bpf/identity/grain.bpf.h)
    args_id: int = 0
    lineage_id: int = 0


_TEXTS = ("executable", "directory", "args", "started_as")
_NUMBERS = tuple(name for name in Image.__struct_fields__ if name not in _TEXTS)  # called alike in both


def decode_image(image: layout.Image) -> Image:
    return Image(
        **{name: getattr(image, name) for name in _NUMBERS},
        executable=join_path(image.executable[: image.executable_size], is_cut=bool(image.flags & IMAGE_PATH_CUT)),
        directory=join_path(image.directory[: image.directory_size], is_cut=bool(image.flags & IMAGE_DIRECTORY_CUT)),
        args=split_args(image.args[: image.args_size]),
        started_as=text_of(image.started_as[: image.started_as_size].removesuffix(b"\0")),
    )


def encode_image(image: Image) -> layout.Image:
    """What does not fit is cut, as BPF would."""
    executable, is_path_cut = split_path(image.executable, EXECUTABLE_SIZE)
    directory, is_directory_cut = split_path(image.directory, DIRECTORY_SIZE)
    args = b"".join(bytes_of(arg) + b"\0" for arg in image.args)
    started_as = bytes_of(image.started_as)[: STARTED_AS_SIZE - 1] + b"\0"
    flags = image.flags
    flags |= IMAGE_PATH_CUT if is_path_cut else 0
    flags |= IMAGE_DIRECTORY_CUT if is_directory_cut else 0
    flags |= IMAGE_ARGS_CUT if len(args) > ARGS_SIZE else 0
    return layout.Image(
        **{name: getattr(image, name) for name in _NUMBERS} | {"flags": flags},
        executable_size=len(executable),
        directory_size=len(directory),
        args_size=min(len(args), ARGS_SIZE),
        started_as_size=len(started_as),
        executable=executable,
        directory=directory,
        args=args[:ARGS_SIZE],
        started_as=started_as,
    )


def join_path(components: bytes, *, is_cut: bool) -> str:
    """The path of these components, which come from the last to the first, each NUL-terminated."""
    names = components.split(b"\0")[:-1]
    return ("" if is_cut else "/") + text_of(b"/".join(reversed(names)))


def split_path(path: str, room: int) -> tuple[bytes, bool]:
    """The inverse of `join_path`; True: the first components did not fit."""
    written = b""
    for name in reversed([name for name in bytes_of(path).split(b"/") if name]):
        if len(written) + len(name) + 1 > room:
            return written, True
        written += name + b"\0"
    return written, False


def split_args(args: bytes) -> tuple[str, ...]:
    return tuple(map(text_of, args.removesuffix(b"\0").split(b"\0"))) if args else ()
