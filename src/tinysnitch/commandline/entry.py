"""The entry points of all commands in pyproject.toml.

Most of a command's start is imports. Ctrl-C during them ends the command as it ends any other program, not with
Python's traceback. The modules are given by name, since this layer may not import those above it.
"""

import signal
import sys
from importlib import import_module

_NO_MEMORY = (
    "tinysnitch: error: too little memory\n"
    "tinysnitch: hint: see `ulimit -v`, and whether this machine has any left (`free`)"
)
# What asyncio, shutil and msgspec import, and do without: they take 1.8 MB of a daemon, which speaks no TLS, and
# reads no archives. None makes an import fail (The Python Language Reference 5.3.1).
UNUSED = ("ssl", "bz2", "lzma", "typing_extensions")
_NO_ROOM = "failed to map segment"  # what dlopen(3) says if there is no memory for a library


def tinysnitch() -> None:
    begin("tinysnitch.cli.main")


def tinysnitchd() -> None:
    # By default it ends us. Until the rules are loaded there is nothing to read again (daemon/startup/lifecycle.py).
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for name in UNUSED:
        sys.modules[name] = None  # type: ignore[assignment]
    begin("tinysnitch.daemon.startup.main")


def tinysnitch_prompt() -> None:
    begin("tinysnitch.qt.start.main")


def tinysnitch_trace() -> None:
    begin("tinysnitch.trace.command")


def tinysnitch_iptables_add() -> None:
    begin("tinysnitch.daemon.startup.iptables", "add")


def tinysnitch_iptables_remove() -> None:
    begin("tinysnitch.daemon.startup.iptables", "remove")


def begin(module: str, function: str = "main") -> None:
    """Import the module and call its function. From then on Ctrl-C is for the function to handle.

    If whoever started us ignores SIGINT (nohup, `&` in a script), it stays ignored. SIGCHLD does not: while it is
    ignored the exit status of a child is lost (wait(2)), and Python takes that for success.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        main = getattr(import_module(module), function)
        signal.signal(signal.SIGINT, handler)
        main()
    except MemoryError:
        sys.exit(_NO_MEMORY)
    except ImportError as error:
        if _NO_ROOM not in str(error):
            raise
        sys.exit(_NO_MEMORY)
