"""Does something in network and mount namespaces of its own: what is set up there ends with it, and is nowhere else."""

import ctypes
import os
import traceback
from collections.abc import Callable
from typing import NoReturn

from tinysnitch.core.model.errors import NotPermitted, SnitchError

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000  # include/uapi/linux/sched.h
_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18  # include/uapi/linux/mount.h
_libc = ctypes.CDLL(None, use_errno=True)


def run_apart(work: Callable[[], bytes]) -> bytes:
    """What `work` returns in a child of ours. Raises SnitchError if the child cannot be apart, or does not come to its
    end."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _work(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == NotPermitted.exit_code:
        raise NotPermitted(result.decode(), "run it as root, outside of containers")
    if status:
        raise SnitchError(f"the trial ended with {status}")
    return result


def _work(work: Callable[[], bytes], writing: int) -> NoReturn:
    """In the child, which must not come back: our caller's `with` blocks would be left twice."""
    status = 1
    try:
        problem = _part()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(problem.encode() if problem else work())
        status = NotPermitted.exit_code if problem else 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _part() -> str:
    """Leave the namespaces of our parent. Returns why that fails; "": we are apart."""
    if _libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET) or _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None):
        return f"no namespaces of its own: {os.strerror(ctypes.get_errno())}"
    return ""
