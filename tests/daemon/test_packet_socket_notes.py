import pytest

from tinysnitch.daemon.packet_socket_notes import say_holders
from tinysnitch.kernel.packet_sockets import PacketSocketHolder


def test_who_is_named_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    say_holders([PacketSocketHolder(7, 1000, "/tmp/a\nb", 0)])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "(pid 7, uid 1000) has a packet socket" in said
