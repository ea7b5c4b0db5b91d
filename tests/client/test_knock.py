import errno
import socket
from pathlib import Path

import pytest

from tests.client.full_socket import FullSocket
from tinysnitch.client.knock import connect_at_once, connecting, encode_request, knock
from tinysnitch.core.model.errors import Busy, DaemonNotRunning, SnitchError
from tinysnitch.protocol.framing import MAX_FRAME, encode_frame
from tinysnitch.protocol.messages import AddRule


def test_who_finds_no_place_may_knock_again(tmp_path: Path) -> None:
    with FullSocket(tmp_path / "s") as full, socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        assert not knock(sock, tmp_path / "s")
        full.make_room()
        assert knock(sock, tmp_path / "s")


def test_a_prompt_never_waits_for_a_connection(tmp_path: Path) -> None:
    with FullSocket(tmp_path / "s") as full:
        assert connect_at_once(tmp_path / "s") is None
        full.make_room()
        connection = connect_at_once(tmp_path / "s")
        assert connection
        with connection:
            assert not connection.getblocking()
    with pytest.raises(DaemonNotRunning):
        connect_at_once(tmp_path / "none")


def test_where_nobody_listens_is_another_matter(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        knock(sock, tmp_path / "s")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (FileNotFoundError(errno.ENOENT, ""), DaemonNotRunning),
        (TimeoutError(), Busy),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_only_a_socket_that_connects_stays_open(failure: BaseException, kind: type[BaseException]) -> None:
    with pytest.raises(kind), connecting("/run/s") as sock:
        raise failure
    assert sock.fileno() < 0
    with connecting("/run/s") as sock:
        pass
    assert sock.fileno() >= 0
    sock.close()


def test_a_request_that_the_daemon_would_not_take_is_not_made() -> None:
    room = MAX_FRAME - len(encode_frame(AddRule(""))) + 1  # the limit does not count the newline
    longest = AddRule("x" * room)
    assert encode_request(longest) == encode_frame(longest)
    for line in ("x" * (room + 1), "é" * (MAX_FRAME // 6)):  # é takes 6 bytes of ASCII
        with pytest.raises(SnitchError, match="request is too long: ") as refused:
            encode_request(AddRule(line))
        assert refused.value.hint == "shorten it"
