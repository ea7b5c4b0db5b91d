"""Where each command of pyproject.toml begins.

Most of its start is imports, and Ctrl-C may come while they go on: it ends the command as it ends any other program,
and not with Python's traceback. The modules are named, not imported: this layer knows no other one.
"""

import signal
import sys
from importlib import import_module

_NO_MEMORY = (
    "tinysnitch: error: too little memory\n"
    "tinysnitch: hint: see `ulimit -v`, and whether this machine has any left (`free`)"
)
_NO_ROOM = "failed to map segment"  # for a library, in the words of dlopen(3)


def tinysnitch() -> None:
    begin("tinysnitch.cli.main")


def tinysnitchd() -> None:
    # The daemon speaks no TLS, and asyncio does without where there is none: 1.5 MB that nobody would use. None makes
    # an import fail (The Python Language Reference 5.3.1).
    sys.modules["ssl"] = None  # type: ignore[assignment]
    begin("tinysnitch.daemon.main")


def tinysnitch_prompt() -> None:
    begin("tinysnitch.qt.main")


def tinysnitch_trace() -> None:
    begin("tinysnitch.daemon.trace")


def tinysnitch_iptables_add() -> None:
    begin("tinysnitch.daemon.iptables", "add")


def tinysnitch_iptables_remove() -> None:
    begin("tinysnitch.daemon.iptables", "remove")


def begin(module: str, function: str = "main") -> None:
    """Call what the module has; from then on Ctrl-C is its own affair. Where it is ignored (nohup, `&`) it stays so.

    Not so SIGCHLD, which some that start us ignore: then nobody learns how a child ended (wait(2)), and Python takes
    that for success.
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
