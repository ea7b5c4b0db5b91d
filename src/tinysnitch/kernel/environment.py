"""Variables that make a program run code which is not its own, in the environment that a process was executed with.

The process can overwrite that block in its memory. So this is only ever something to warn of, never to decide by.
"""

from tinysnitch.kernel import procfs

_LIMIT = 128 * 1024  # of one process; an environment may take megabytes
_NAMES = frozenset(
    {
        *("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GCONV_PATH"),  # ld.so(8), iconv_open(3)
        *("PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONBREAKPOINT"),  # python(1)
        *("PERL5OPT", "PERL5LIB", "PERL5DB", "PERLLIB"),  # perlrun(1)
        *("RUBYOPT", "RUBYLIB"),  # ruby(1)
        *("NODE_OPTIONS", "NODE_PATH"),  # node(1)
        *("BASH_ENV", "ENV"),  # bash(1), dash(1)
        *("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"),  # java(1)
        *("PHPRC", "PHP_INI_SCAN_DIR"),  # php(1)
    }
)


def find_loaders(pid: int, started_ns: int) -> tuple[str, ...]:
    """Names of such variables that are set and not empty, sorted; none for a process that is gone."""
    block = procfs.read_environment(pid, _LIMIT)
    status = procfs.read_status(pid)
    if status is None or not procfs.is_same_start(started_ns, status.started_ns):
        return ()
    pairs = (entry.partition("=") for entry in block)
    return tuple(sorted({name for name, _, value in pairs if value and name in _NAMES}))
