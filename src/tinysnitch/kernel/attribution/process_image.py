"""Makes an image by /proc for a process whose exec was not captured. It is marked as bootstrapped; its exec id is 0."""

from functools import partial

import msgspec

from tinysnitch.kernel.attribution.scan_budget import ScanBudget
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.images import Image
from tinysnitch.kernel.files import identity as file_identity
from tinysnitch.kernel.proc import procfs
from tinysnitch.kernel.proc.cgroups import read_cgroup_id
from tinysnitch.kernel.proc.procfs import LiveProcess

_table_looks = ScanBudget()  # at tables of mounts: see read_superblock_device()


def image_of(process: LiveProcess) -> Image:
    """The image, with its file system and its cgroup."""
    with _table_looks.look(process.pid) as may_be_long:
        device = file_identity.read_executable_device(process.pid) if may_be_long else None
    image = bare_image_of(process)
    cgroup_id = _find_cgroup(process)
    # One whose cgroup is not to be had may be in a container: see _mark_container() in process_builder.py.
    is_ours = cgroup_id is not None and file_identity.is_in_our_user_namespace(process.pid)
    return msgspec.structs.replace(
        image,
        flags=image.flags | (0 if is_ours else layout.IMAGE_USER_NAMESPACE),
        cgroup_id=cgroup_id or 0,
        device=file_identity.encode_device(device or process.device),
    )


def _find_cgroup(process: LiveProcess) -> int | None:
    """Its id; 0 if it is not known, None: not to be had now (cgroup_paths.py)."""
    return procfs.bounded.read(process.pid, partial(read_cgroup_id, process.cgroup)) if process.cgroup else 0


def bare_image_of(process: LiveProcess) -> Image:
    """The image without a look at file system and cgroup: of a parent only the path is needed."""
    flags = layout.IMAGE_BOOTSTRAPPED
    flags |= layout.IMAGE_DELETED if process.is_deleted else 0
    if not process.is_argv_complete:
        flags |= layout.IMAGE_ARGS_CUT if process.argv else layout.IMAGE_ARGS_UNREADABLE
    return Image(
        exec_id=0,
        parent_exec_id=0,
        inode=process.inode,
        cgroup_id=0,
        started_ns=process.started_ns,
        executed_ns=0,
        device=file_identity.encode_device(process.device),
        pid=process.pid,
        parent_pid=process.parent_pid,
        uid=process.uid,
        flags=flags,
        executable=process.executable,
        directory=process.directory,
        args=process.argv,
    )
