"""Real shortages, made with setrlimit(2): of file descriptors and of threads."""

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def descriptors_left(count: int = 0) -> Iterator[None]:
    """Let this process open `count` more descriptors; the next open fails with EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [number for number in range(count + len(os.listdir("/proc/self/fd"))) if not _is_open(number)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[count], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def no_thread_left() -> Iterator[None]:
    """Let this process start no further thread: there is no address space left for a stack."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    usual = threading.stack_size(1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 26), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        threading.stack_size(usual)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
