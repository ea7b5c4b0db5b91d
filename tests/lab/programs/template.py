"""A Python that has imported all of a command, and forks for each start of it: template.py COMMAND, a socket as stdin.

Imports are most of a command's start. What asks for a start passes stdin, stdout, stderr and a pipe: on the last it
gets the pid of the command, and then its exit status as wait(2) gives it.
"""

import ctypes
import gc
import json
import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

IMPORTS = {
    "tinysnitchd": [
        "tinysnitch.daemon.startup.main",
        "tinysnitch.commandline.event_loop",
        "tinysnitch.daemon.logs.error_log",
        "tinysnitch.daemon.startup.lifecycle",
    ],
    "tinysnitch": [
        "tinysnitch.cli.main",
        *(f"tinysnitch.cli.{name}" for name in ("status", "rules", "lists", "log", "asks", "answer", "explain")),
    ],
}
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def main(name: str) -> None:
    entry = import_module("tinysnitch.commandline.entry")
    if name == "tinysnitchd":
        sys.modules.update(dict.fromkeys(entry.UNUSED))  # type: ignore[arg-type]
    for module in IMPORTS[name]:
        import_module(module)
    Path("/proc/self/comm").write_text(name)
    gc.freeze()
    request, streams = wait_for_start()
    enter(request)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = request["argv"]
    getattr(entry, name)()


def wait_for_start() -> tuple[dict[str, Any], list[int]]:
    """Returns in the process of a command; the template itself ends with whoever asks."""
    asker = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps those that report
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(asker, 1 << 16, 4)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asker.detach()
            *streams, report = descriptors
            if (pid := os.fork()) == 0:
                os.close(report)
                return json.loads(message), streams
            report_on(pid, report)
        for descriptor in descriptors:
            os.close(descriptor)


def report_on(pid: int, report: int) -> None:
    os.dup2(report, 1)  # the command's streams must end with the command
    os.closerange(2, report + 1)
    os.close(0)
    os.write(1, f"{pid}\n".encode())
    os.write(1, f"{os.waitpid(pid, 0)[1]}\n".encode())
    os._exit(0)


def enter(request: dict[str, Any]) -> None:
    Path(request["cgroup"], "cgroup.procs").write_text(str(os.getpid()))
    for path, kind in ((request["netns"], CLONE_NEWNET), (request["mounts"], CLONE_NEWNS)):
        descriptor = os.open(path, os.O_RDONLY)
        if LIBC.setns(descriptor, kind):
            raise OSError(ctypes.get_errno(), f"entering {path}")
        os.close(descriptor)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["is_leader"]:
        os.setsid()


if __name__ == "__main__":
    main(sys.argv[1])
