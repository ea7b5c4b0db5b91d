import msgspec

from tests.core.tls.hello_maker import CIPHER, QUIC_FLOW, crypto, flow_to, handshake, initial, records, segments
from tinysnitch.core.tls import server_names as said_names
from tinysnitch.core.tls.server_names import MAX_DATAGRAMS, NOTHING, ServerName, ServerNameReader

HELLO = records(handshake("ads.test"))


def test_a_tcp_connection_until_its_name_is_there() -> None:
    names = ServerNameReader(4, None)
    *first, last = segments(HELLO, 20)
    assert [names.read(flow_to(), 7, segment) for segment in first] == [None] * len(first)
    assert names.read(flow_to(), 7, last) == ServerName("ads.test")
    assert names.tables()["connections being read"].used == 0


def test_a_quic_connection_until_its_name_is_there() -> None:
    names = ServerNameReader(4, CIPHER)
    message = handshake("ads.test")
    assert names.read(QUIC_FLOW, 7, initial(crypto(message[:40]))) is None
    assert names.read(QUIC_FLOW, 7, initial(crypto(message[40:], 40), packet_number=3)) == ServerName("ads.test")


def test_what_cannot_be_read_says_nothing() -> None:
    names = ServerNameReader(4, CIPHER)
    assert names.read(flow_to(80), 7, segments(b"GET / HTTP/1.1\r\n", 100)[0]) == NOTHING
    assert names.read(QUIC_FLOW, 7, b"no QUIC") == NOTHING
    assert names.tables()["connections being read"].used == 0


def test_without_a_cipher_quic_says_nothing() -> None:
    assert ServerNameReader(4, None).read(QUIC_FLOW, 7, initial(crypto(handshake("ads.test")))) == NOTHING


def test_another_socket_on_the_same_ports_begins_anew() -> None:
    names = ServerNameReader(4, None)
    first, *_rest = segments(HELLO, 20)
    assert names.read(flow_to(), 7, first) is None
    elsewhere = msgspec.structs.replace(segments(HELLO, 1400)[0], sequence=5)
    assert names.read(flow_to(), 8, elsewhere) == ServerName("ads.test")


def test_reading_is_bounded_and_what_had_to_go_is_counted() -> None:
    names = ServerNameReader(1, None)
    first, *rest = segments(HELLO, 20)
    assert names.read(flow_to(443), 7, first) is None
    assert names.read(flow_to(444), 8, first) is None
    assert names.read(flow_to(443), 7, rest[0]) == NOTHING
    assert names.tables()["connections being read"].evicted == 2


def test_no_users_readings_push_out_those_of_others() -> None:
    """A connection that is read from its middle on says no name, and would pass."""
    names = ServerNameReader(4, None)
    first, *rest = segments(HELLO, 20)
    assert names.read(flow_to(443), 7, first, user=1000) is None
    for port in range(500, 600):
        assert names.read(flow_to(port), port, first, user=1001) is None
    assert [names.read(flow_to(443), 7, segment, user=1000) for segment in rest][-1] == ServerName("ads.test")


def test_an_endless_handshake_is_given_up() -> None:
    names = ServerNameReader(4, CIPHER)
    part = initial(crypto(handshake("ads.test")[:40]))
    told = [names.read(QUIC_FLOW, 7, part) for _again in range(MAX_DATAGRAMS)]
    assert told == [None] * (MAX_DATAGRAMS - 1) + [NOTHING]


def test_segments_of_a_connection_that_never_completes_are_given_up() -> None:
    names = ServerNameReader(4, None)
    first = segments(HELLO, 20)[0]
    assert names.read(flow_to(), 7, first) is None
    again = msgspec.structs.replace(first)
    told = [names.read(flow_to(), 7, again) for _again in range(said_names.MAX_SEGMENTS - 1)]
    assert told[-2:] == [None, NOTHING]
