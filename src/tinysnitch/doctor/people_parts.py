"""What people need to be asked: a daemon, the right to its socket, a window or a terminal."""

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from tinysnitch import __version__
from tinysnitch.client.control_client import ControlClient
from tinysnitch.core.model.errors import DaemonNotRunning, NotPermitted, SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.instance import name_instance
from tinysnitch.doctor.finding import Finding, State, fine, lacking
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.proc.netns import read_netns_cookie
from tinysnitch.protocol.messages import Mode, ReadStatus, Status
from tinysnitch.tui.encoding import terminal_encoding
from tinysnitch.tui.terminal import DUMB

_START = "systemctl start tinysnitchd"
_TERMINAL_INSTEAD = "no window asks; `tinysnitch prompt` does in a terminal"


def find_people_parts(socket: str, *, is_root: bool) -> Iterator[Finding]:
    yield _find_daemon(socket, is_root=is_root)
    yield _find_qt()
    yield _find_terminal()


def _find_daemon(socket: str, *, is_root: bool) -> Finding:
    try:
        with ControlClient(socket) as client:
            return judge_status(client.ask_one(ReadStatus(), Status))
    except DaemonNotRunning as error:
        if is_root and _stand_rules():
            problem = "none runs, but netfilter rules of one stand here"
            mend = f"{_START}, or tinysnitch-iptables-remove to let everything pass"
            return lacking("daemon", problem, "no network: every new connection is dropped", mend)
        return Finding("daemon", State.NOTE, str(error), "nothing is asked, nothing is held", _START)
    except NotPermitted as error:
        return lacking("daemon", error, "you are not asked", "sudo usermod -aG tinysnitch $USER")
    except SnitchError as error:
        return lacking("daemon", error, "nothing is asked")


def judge_status(status: Status) -> Finding:
    if status.not_enforcing:
        mend = "see `journalctl -u tinysnitchd`, then systemctl restart tinysnitchd"
        return lacking("daemon", status.not_enforcing, "new connections may pass unasked", mend)
    if status.mode is Mode.DEGRADED:
        mend = "mend what lacks above, then systemctl restart tinysnitchd"
        return lacking("daemon", status.mode_reason, "DEGRADED: programs are known less surely", mend)
    if status.version != __version__:
        text = f"runs as version {status.version}, installed is {__version__}"
        return Finding("daemon", State.NOTE, text, "the old one judges", "systemctl restart tinysnitchd")
    return fine("daemon", f"enforces, pid {status.pid}, and you may ask it")


def _stand_rules() -> bool:
    instance = name_instance(read_netns_cookie(), Scope.MACHINE)
    try:
        return Netfilter(instance.label, instance.queues, program_path=None).is_present()
    except SnitchError:  # told in lines of its own
        return False


def _find_qt() -> Finding:
    if find_spec("PySide6") is None:
        mend = "install the package tinysnitch-window, or the extra `gui` with pip"
        return Finding("Qt", State.NOTE, "not installed", _TERMINAL_INSTEAD, mend)
    try:
        import_module("PySide6.QtWidgets")
    except ImportError as error:
        return Finding("Qt", State.NOTE, str(error), _TERMINAL_INSTEAD, "install the library that is named")
    has_screen = any(map(os.environ.get, ("WAYLAND_DISPLAY", "DISPLAY", "QT_QPA_PLATFORM")))
    return fine("Qt", "works" if has_screen else "installed; no screen here")


def _find_terminal() -> Finding:
    name, encoding = os.environ.get("TERM", ""), terminal_encoding()
    if not sys.stdout or not sys.stdout.isatty():
        return fine("terminal", "none here: the output goes elsewhere")
    if name in ("", DUMB):
        mend = "export TERM=xterm-256color, if it is one"
        return Finding("terminal", State.NOTE, f"TERM is {name or 'not set'}", "questions come as lines", mend)
    if "utf" not in encoding.lower():
        mend = "export LANG=C.UTF-8"
        return Finding("terminal", State.NOTE, f"its encoding is {encoding}", "some signs are shown as ASCII", mend)
    size = os.get_terminal_size(sys.stdout.fileno())
    return fine("terminal", f"{name}, {size.columns}x{size.lines}, {encoding}")
