import pytest

from tests.client.test_log_client import PATH
from tests.view.live.sample_traffic import SAMPLES
from tinysnitch.client.prompt_client import RETRY_S
from tinysnitch.client.traffic_client import TrafficClient
from tinysnitch.core.model.errors import DaemonNotRunning, SnitchError
from tinysnitch.protocol.framing import FrameDecoder, encode_frame
from tinysnitch.protocol.messages import Hello, Request, TrafficTold, WatchTraffic, Welcome
from tinysnitch.view.live.seen import TrafficSeen

_decoder: FrameDecoder[Request] = FrameDecoder(Request)


def hear(client: TrafficClient, *messages: object) -> list[TrafficSeen]:
    return list(client.receive(b"".join(map(encode_frame, messages)), 9.0))


def test_what_was_counted_in_a_second_is_told_at_once() -> None:
    client = TrafficClient(PATH)
    assert hear(client, Welcome()) == []
    assert [_decoder.decode(frame) for frame in bytes(client.unsent).splitlines()] == [Hello(), WatchTraffic()]
    assert hear(client, *SAMPLES[:1]) == []
    assert hear(client, *SAMPLES[1:], TrafficTold(7.0, 3)) == [TrafficSeen(SAMPLES, 7.0, 3)]
    assert hear(client, TrafficTold(8.0)) == [TrafficSeen((), 8.0)]


def test_after_the_end_of_a_connection_it_looks_again() -> None:
    client = TrafficClient(PATH)
    hear(client, Welcome(), SAMPLES[0])
    with pytest.raises(DaemonNotRunning) as ended:
        hear(client)
    assert list(client.end(ended.value)) == []
    assert hear(client, Welcome(), TrafficTold(8.0)) == [TrafficSeen((), 8.0)]
    assert (client.is_answering, client.wait_for_room(1.0)) == (False, RETRY_S)
    with pytest.raises(SnitchError, match="does not understand"):
        list(client.receive(b"odd\n", 9.0))
