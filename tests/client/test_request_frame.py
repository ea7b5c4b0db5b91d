import pytest

from tinysnitch.client.request_frame import encode_request
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.protocol.framing import MAX_FRAME, encode_frame
from tinysnitch.protocol.messages import AddRule


def test_a_request_that_the_daemon_would_not_take_is_not_made() -> None:
    room = MAX_FRAME - len(encode_frame(AddRule(""))) + 1  # the limit does not count the newline
    longest = AddRule("x" * room)
    assert encode_request(longest) == encode_frame(longest)
    for line in ("x" * (room + 1), "é" * (MAX_FRAME // 6)):  # é takes 6 bytes of ASCII
        with pytest.raises(SnitchError, match="request is too long: ") as refused:
            encode_request(AddRule(line))
        assert refused.value.hint == "shorten it"
