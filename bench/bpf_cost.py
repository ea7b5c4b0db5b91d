"""What each of our BPF programs has cost so far, as JSON: run where the bpffs of the daemon is mounted.

The kernel counts runs and nanoseconds while kernel.bpf_stats_enabled is 1 (admin-guide/sysctl/kernel.rst).
"""

import ctypes
import json
import os
from pathlib import Path

_LIBBPF = ctypes.CDLL("libbpf.so.1", use_errno=True)


def open_pin(path: Path) -> int:
    descriptor = int(_LIBBPF.bpf_obj_get(str(path).encode()))
    if descriptor < 0:
        raise OSError(-descriptor, f"opening {path}")
    return descriptor


def read_fdinfo(descriptor: int) -> dict[str, str]:
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def read_cost(path: Path) -> tuple[int, int]:
    """Runs and nanoseconds of a pinned program, or of the program of a pinned link."""
    descriptor = open_pin(path)
    if path.parent.name == "links":
        number = int(read_fdinfo(descriptor)["prog_id"])
        os.close(descriptor)
        descriptor = int(_LIBBPF.bpf_prog_get_fd_by_id(number))
    fields = read_fdinfo(descriptor)
    os.close(descriptor)
    return int(fields["run_cnt"]), int(fields["run_time_ns"])


def main() -> None:
    costs = {}
    for folder in ("links", "programs"):
        for path in Path("/sys/fs/bpf").glob(f"tinysnitch-*/*/{folder}/*"):
            costs[path.name] = read_cost(path)
    print(json.dumps(costs))


if __name__ == "__main__":
    main()
