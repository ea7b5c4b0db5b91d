import pytest

from tests.view.sample_decisions import line_of
from tests.view.sample_prompts import connection_of
from tinysnitch.client.log_client import LogClient
from tinysnitch.client.prompt_client import RETRY_S
from tinysnitch.core.model.errors import DaemonNotRunning, NotPermitted, SnitchError
from tinysnitch.protocol.framing import FrameDecoder, encode_frame
from tinysnitch.protocol.log_lines import RulesLine
from tinysnitch.protocol.messages import Done, Hello, ReadLog, Refused, Request, Welcome
from tinysnitch.view.prompt_events import DecisionsTold, Event
from tinysnitch.view.recent_decisions import MAX_KEPT

PATH = "/run/tinysnitch/socket"
ONE, TWO = line_of(), line_of(connection_of(name="two.test"))
RULES = RulesLine(time="2026-12-02T00:00:00Z", loaded=1, errors=())
_decoder: FrameDecoder[Request] = FrameDecoder(Request)


def hear(client: LogClient, *messages: object) -> list[Event]:
    return list(client.receive(b"".join(map(encode_frame, messages)), 9.0))


def sent(client: LogClient) -> list[Request]:
    frames, client.unsent = bytes(client.unsent).splitlines(), bytearray()
    return [_decoder.decode(frame) for frame in frames]


def test_the_last_decisions_are_asked_for_and_told() -> None:
    client = LogClient(PATH)
    assert sent(client) == []  # the daemon speaks first
    assert hear(client, Welcome()) == [DecisionsTold((), is_anew=True)]
    assert sent(client) == [Hello(), ReadLog(MAX_KEPT, follow=True)]
    assert hear(client, Done(), ONE, RULES, TWO) == [DecisionsTold((ONE, TWO))]
    assert hear(client, RULES) == []
    assert hear(client, {"event": "connection", "of": "another version"}, ONE) == [DecisionsTold((ONE,))]
    assert sent(client) == []


def test_after_the_end_of_a_connection_all_is_told_anew() -> None:
    client = LogClient(PATH)
    hear(client, Welcome(), ONE)
    with pytest.raises(DaemonNotRunning) as ended:
        hear(client)
    assert list(client.end(ended.value)) == []
    assert hear(client, Welcome()) == [DecisionsTold((), is_anew=True)]
    assert sent(client) == [Hello(), ReadLog(MAX_KEPT, follow=True)]
    assert (client.is_answering, client.wait_for_room(1.0)) == (False, RETRY_S)


def test_who_may_not_read_the_log_is_told_no_decision_and_stays_connected() -> None:
    client = LogClient(PATH)
    hear(client, Welcome(), Done())
    assert hear(client, Refused("not permitted", "", 4)) == []


def test_another_program_behind_the_socket_is_told() -> None:
    with pytest.raises(NotPermitted):
        hear(LogClient(PATH), Refused("not permitted", "", 4))
    with pytest.raises(SnitchError, match="does not speak like tinysnitchd"):
        hear(LogClient(PATH), Done())
    with pytest.raises(SnitchError):
        list(LogClient(PATH).receive(b"HTTP/1.1 400 Bad Request\r\n", 9.0))
