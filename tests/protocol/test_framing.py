import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.model.any_text import ANY_TEXT
from tinysnitch.core.model.errors import Malformed
from tinysnitch.protocol.framing import FrameDecoder, FrameReader, encode_frame, encode_object
from tinysnitch.protocol.messages import AddRule, Request

requests: FrameDecoder[Request] = FrameDecoder(Request)


@given(ANY_TEXT)
@example("\udcff")  # a byte that is not UTF-8
def test_any_text_survives_as_printable_ascii(text: str) -> None:
    frame = encode_frame(AddRule(text))
    assert frame[:-1].isascii()
    assert frame[:-1].decode().isprintable()
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")  # JSON joins what pairs
    assert requests.decode(frame) == AddRule(paired)


@pytest.mark.parametrize("text", ["a", "é", "\udc80", "\x7f", "\n", "日本"])
def test_other_readers_of_json_agree(text: str) -> None:
    encoded = encode_object([text])
    assert json.loads(encoded) == [text]
    assert encoded.decode("ascii").isprintable()


@given(st.binary())
def test_garbage_raises_nothing_but_malformed(data: bytes) -> None:
    try:
        requests.decode(data)
    except Malformed:
        return
    pytest.fail("no request is made of random bytes")


@pytest.mark.parametrize(
    "frame",
    [
        b"[" * 60_000,
        b'{"a":"\\ud800","n":' + b"[" * 60_000,
        b'{"type":"add_rule","line":1}',
        b'{"type":"add_rule"}',
        b'{"type":"no_such"}',
        b'{"type":"add_rule","line":"\\udc80"} x',
        b'{"a":"\\udc80","n":' + b"1" * 9000 + b"}",
        '{"type":"list_rules"}'.encode("utf-16"),
    ],
)
def test_what_is_no_request_is_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed):
        requests.decode(frame)


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b""))), st.data())
def test_frames_come_out_however_the_stream_is_cut(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frame + b"\n" for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    reader = FrameReader(limit=20)
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [frame for piece in pieces for frame in reader.feed(piece)] == frames


def test_an_oversized_frame_is_malformed_with_or_without_its_end() -> None:
    for data in (b"x" * 21, b"x" * 21 + b"\n"):
        with pytest.raises(Malformed, match="limit is 20"):
            list(FrameReader(limit=20).feed(data))


def test_frames_before_an_oversized_one_still_come() -> None:
    reader = FrameReader(limit=3)
    stream = reader.feed(b"abc\nabcd\n")
    assert next(stream) == b"abc"
    with pytest.raises(Malformed):
        next(stream)


def test_a_value_of_any_struct_is_encoded_with_its_tag_first() -> None:
    class Tagged(msgspec.Struct, tag_field="event", tag="x"):
        text: str

    assert encode_object(Tagged("\udc80")) == b'{"event":"x","text":"\\udc80"}'
    assert encode_object(Tagged("a")) == b'{"event":"x","text":"a"}'
