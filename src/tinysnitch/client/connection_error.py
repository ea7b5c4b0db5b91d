"""Turns what goes wrong between a client and the daemon into errors that people read."""

import errno
import os
from pathlib import Path

from tinysnitch.core.model.errors import Busy, DaemonNotRunning, NotPermitted, NotUnderstood, SnitchError
from tinysnitch.protocol.messages import PROTOCOL, VERSION_HINT, FromDaemon, Refused, Welcome

_NOBODY_LISTENS = (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR)


def error_of_connect(error: OSError, path: str | Path) -> SnitchError:
    if error.errno in _NOBODY_LISTENS:
        hint = (
            "start tinysnitchd as root, or name its socket with --socket PATH; "
            "if the daemon died, `tinysnitch-iptables-remove` lets everything through again"
        )
        return DaemonNotRunning(f"no daemon listens on {path}", hint)
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermitted(f"not permitted to open {path}", "run as root")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return SnitchError(f"cannot connect to {path}: {reason}", "name another socket with --socket PATH")


def error_of_end(path: str | Path) -> SnitchError:
    hint = "see whether tinysnitchd still runs; it also disconnects a client that reads too slowly"
    return DaemonNotRunning(f"the daemon on {path} ended the connection", hint)


def error_of_silence(path: str | Path) -> Busy:
    """The error for a daemon that listens, but accepts no connection or sends nothing in time."""
    hint = "it may be stopped or overloaded, or other clients fill its socket; see its log"
    return Busy(f"the daemon on {path} does not answer", hint)


def error_of_refusal(refusal: Refused) -> SnitchError:
    """The daemon's refusal as the exception that carries its exit code."""
    kinds = {kind.exit_code: kind for kind in (NotUnderstood, DaemonNotRunning, NotPermitted)}
    return kinds.get(refusal.exit_code, SnitchError)(refusal.message, refusal.hint)


def error_of_greeting(refusal: Refused) -> SnitchError:
    """As error_of_refusal(), for a refusal in place of a welcome.

    One without an exit code of its own means that the daemon has no place for one more client now: Busy.
    """
    error = error_of_refusal(refusal)
    return Busy(str(error), error.hint) if type(error) is SnitchError else error


def read_welcome(message: FromDaemon, path: str | Path) -> Welcome:
    """The daemon's welcome, which it says first. Raises SnitchError if it takes us not, or is no daemon of ours."""
    if isinstance(message, Refused):
        raise error_of_greeting(message)
    if not isinstance(message, Welcome):
        problem = f"what listens on {path} does not speak like tinysnitchd"
        raise SnitchError(problem, "is it another program's socket?")
    check_welcome(message)
    return message


def check_welcome(welcome: Welcome) -> None:
    """Raises SnitchError when the daemon speaks another protocol."""
    if welcome.protocol == PROTOCOL:
        return
    raise error_of_version(
        f"the daemon is tinysnitch {welcome.version} (protocol {welcome.protocol}), "
        f"this command is {Welcome().version} (protocol {PROTOCOL}), and they do not understand each other"
    )


def error_of_version(problem: str) -> SnitchError:
    """The error for something that only a daemon of another version would send."""
    return SnitchError(problem, VERSION_HINT)


def error_of_malformed(error: ValueError) -> SnitchError:
    return error_of_version(f"the daemon sent something that this version does not understand: {error}")
