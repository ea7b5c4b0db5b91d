"""Can BPF work here, and are all processes to be seen? Names what is missing, without loading anything."""

import os
import re
from pathlib import Path

from tinysnitch.core.model.errors import SnitchError, unless_short
from tinysnitch.kernel.bpf.libbpf import check_library
from tinysnitch.kernel.bpf.objects import missing_objects
from tinysnitch.kernel.system.proc_place import PROC

OLDEST_KERNEL = (6, 1)  # bpf_set_retval (5.18) in cgroup hooks, bpf_get_netns_cookie for sockets, BTF-typed tracepoints
_BTF = Path("/sys/kernel/btf/vmlinux")
_LOCKDOWN = Path("/sys/kernel/security/lockdown")
_STATUS = Path(PROC, "self/status")
_PID_NAMESPACE = Path(PROC, "self/ns/pid")
_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO, include/linux/proc_ns.h
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}  # linux/capability.h
# Any one of each: to follow the links in /proc/PID of others, and to list its folders.
_SIGHT = {"CAP_SYS_PTRACE": (19,), "CAP_DAC_READ_SEARCH": (2, 1)}


def find_missing() -> tuple[str, ...]:
    """A clause for each thing that is missing; empty: loading should work."""
    return tuple(
        clause
        for clause in (
            describe_kernel(os.uname().release),
            describe_btf(),
            describe_lockdown(read_lockdown()),
            find_lacking_rights(),
            describe_library(),
            describe_objects(missing_objects()),
        )
        if clause
    )


def find_hidden(*, is_bpf: bool) -> tuple[str, ...]:
    """A clause for each thing that keeps /proc from showing us the processes whose connections we judge."""
    # The pids of our PID namespace do only without BPF: then /proc is the only source of pids.
    namespace = describe_pid_namespace(_PID_NAMESPACE.stat().st_ino) if is_bpf else ""
    return tuple(filter(None, (namespace, describe_sight(_STATUS.read_text()))))


def is_permitted() -> bool:
    """Whether we have every capability that BPF needs."""
    return not find_lacking_rights()


def describe_kernel(release: str) -> str:
    numbers = tuple(map(int, re.findall(r"\d+", release)[:2]))
    return "" if numbers >= OLDEST_KERNEL else f"Linux {release} is older than {'.'.join(map(str, OLDEST_KERNEL))}"


def describe_btf() -> str:
    return "" if _BTF.exists() else f"no {_BTF} (CONFIG_DEBUG_INFO_BTF)"


def read_lockdown() -> str:
    """What the kernel says; "" where it has no lockdown, or tells root alone."""
    try:
        return _LOCKDOWN.read_text()
    except OSError as error:
        return unless_short(error, "")


def find_lacking_rights() -> str:
    return describe_capabilities(_STATUS.read_text())


def describe_lockdown(state: str) -> str:
    """`none integrity [confidentiality]`: that one keeps BPF from reading kernel memory (kernel_lockdown(7))."""
    return "the kernel is locked down for confidentiality" if "[confidentiality]" in state else ""


def describe_capabilities(status: str) -> str:
    effective = _read_effective(status)
    return _describe_lacking([name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1])


def describe_sight(status: str) -> str:
    effective = _read_effective(status)
    return _describe_lacking([name for name, bits in _SIGHT.items() if not any(effective >> bit & 1 for bit in bits)])


def describe_pid_namespace(inode: int) -> str:
    clause = "processes have other numbers in this PID namespace than in the kernel (hint: `docker run --pid=host`)"
    return "" if inode == _FIRST_PID_NAMESPACE else clause


def _read_effective(status: str) -> int:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return int(found[1], 16) if found else 0


def _describe_lacking(names: list[str]) -> str:
    return f"not permitted: lacks {', '.join(names)}" if names else ""


def describe_library() -> str:
    try:
        check_library()
    except SnitchError as error:
        return str(error)
    return ""


def describe_objects(missing: list[Path]) -> str:
    return f"not compiled: {', '.join(path.name for path in missing)}" if missing else ""
