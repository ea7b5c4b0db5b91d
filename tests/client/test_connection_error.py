import errno

import pytest

from tinysnitch.client.connection_error import (
    check_welcome,
    error_of_connect,
    error_of_end,
    error_of_greeting,
    error_of_refusal,
)
from tinysnitch.core.model.errors import Busy, DaemonNotRunning, NotPermitted, NotUnderstood, SnitchError
from tinysnitch.protocol.messages import Refused, Welcome


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        (errno.ENOENT, 3),
        (errno.ECONNREFUSED, 3),
        (errno.ENOTDIR, 3),
        (errno.EACCES, 4),
        (errno.EPERM, 4),
        (errno.EMFILE, 1),
        (None, 1),
    ],
)
def test_what_the_system_says_has_an_exit_code_and_a_hint(number: int | None, exit_code: int) -> None:
    error = error_of_connect(OSError(number, "x") if number else OSError("AF_UNIX path too long"), "/run/s")
    assert error.exit_code == exit_code
    assert "/run/s" in str(error)
    assert error.hint


def test_who_is_left_without_a_network_is_told_how_to_open_it() -> None:
    assert "`tinysnitch-iptables-remove` lets" in error_of_connect(OSError(errno.ECONNREFUSED, "x"), "/run/s").hint


@pytest.mark.parametrize(
    ("exit_code", "kind"), [(1, SnitchError), (2, NotUnderstood), (3, DaemonNotRunning), (4, NotPermitted)]
)
def test_a_refusal_keeps_its_exit_code(exit_code: int, kind: type[SnitchError]) -> None:
    error = error_of_refusal(Refused("no", "ask root", exit_code))
    assert (type(error), str(error), error.hint, error.exit_code) == (kind, "no", "ask root", exit_code)


@pytest.mark.parametrize(("exit_code", "kind"), [(1, Busy), (3, DaemonNotRunning), (4, NotPermitted)])
def test_who_is_not_let_in_knows_whether_to_come_again(exit_code: int, kind: type[SnitchError]) -> None:
    error = error_of_greeting(Refused("no", "close one", exit_code))
    assert (type(error), str(error), error.hint, error.exit_code) == (kind, "no", "close one", exit_code)


def test_an_end_is_a_daemon_that_does_not_run() -> None:
    ended = error_of_end("/run/s")
    assert ended.exit_code == 3
    assert "reads too slowly" in ended.hint  # the daemon cannot tell such a client why it disconnects it


def test_another_version_is_named() -> None:
    check_welcome(Welcome())
    with pytest.raises(SnitchError, match=r"9\.9 \(protocol 99\).*\(protocol \d+\)") as error:
        check_welcome(Welcome(99, "9.9"))
    assert "tinysnitchd" in error.value.hint
    assert "prompts" in error.value.hint  # a prompt that ran before the upgrade is the old part
