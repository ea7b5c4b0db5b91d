"""Finds environment variables that make a program run code which is not its own, as they were at its exec.

The process can overwrite that block of its memory. So prompts warn of these, and no verdict ever rests on them.
"""

import re
from collections.abc import Iterator

from tinysnitch.kernel.proc import procfs

_OF_ALL = frozenset(  # ld.so(8), iconv_open(3), openssl-env(7)
    ("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GCONV_PATH", "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES")
)
_OF_INTERPRETERS = (  # by the beginnings of the file names that read them: many people set some for all they start
    (
        ("python", "pypy"),
        ("PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONBREAKPOINT", "PYTHONPYCACHEPREFIX"),
    ),  # python(1)
    (("perl",), ("PERL5OPT", "PERL5LIB", "PERL5DB", "PERLLIB")),  # perlrun(1)
    (("ruby",), ("RUBYOPT", "RUBYLIB")),  # ruby(1)
    (("node", "electron"), ("NODE_OPTIONS", "NODE_PATH")),  # node(1)
    (("bash", "dash", "sh", "ash", "ksh", "mksh", "busybox"), ("BASH_ENV", "ENV")),  # bash(1), dash(1)
    (("java",), ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")),  # java(1)
    (("php",), ("PHPRC", "PHP_INI_SCAN_DIR")),  # php(1)
)


def find_loaders(pid: int, started_ns: int, executable: str) -> tuple[str, ...] | None:
    """Names of such variables that are set and not empty, sorted; empty for a process that is gone. None: the process
    keeps others from reading its environment."""
    if procfs.has_ended(pid):  # saves the use of a thread, which is what read_environment() takes
        return ()
    block = procfs.read_environment(pid)
    stat = procfs.read_stat(pid)
    if stat is None or not procfs.is_same_start(started_ns, stat.started_ns):
        return ()
    if block is None:
        return None
    names = _OF_ALL.union(_names_of(executable))
    return tuple(sorted(name for name in names if _is_set(b"\0" + block, f"\0{name}=".encode())))


def _is_set(block: bytes, beginning: bytes) -> bool:
    """Whether it is set, and not to nothing. The plain search comes first: it takes a tenth of the time."""
    return beginning in block and re.search(re.escape(beginning) + rb"[^\0]", block) is not None


def _names_of(executable: str) -> Iterator[str]:
    file = executable.rpartition("/")[2]
    for beginnings, names in _OF_INTERPRETERS:
        if file.startswith(beginnings):
            yield from names
