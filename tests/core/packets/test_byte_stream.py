"""The oracle is the text itself: whatever becomes of its segments on the way, it comes out once and in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.packets.byte_stream import MAX_EARLY_BYTES, MAX_EARLY_SEGMENTS, ByteStream

TEXT = bytes(range(200))
START = 0xFFFFFF80  # so that the sequence numbers start again in the midst of the text


def push(stream: ByteStream, start: int, end: int) -> bytes:
    return stream.push((START + start) % (1 << 32), TEXT[start:end])


def test_what_comes_in_order_comes_out_at_once() -> None:
    stream = ByteStream(START)
    assert push(stream, 0, 10) == TEXT[:10]
    assert push(stream, 10, 150) == TEXT[10:150]


def test_what_comes_early_waits_for_what_lies_before() -> None:
    stream = ByteStream(START)
    assert push(stream, 20, 30) == b""
    assert push(stream, 10, 20) == b""
    assert push(stream, 0, 10) == TEXT[:30]
    assert stream.is_next(START + 30)


def test_what_comes_again_counts_once() -> None:
    stream = ByteStream(START)
    push(stream, 0, 10)
    assert push(stream, 0, 10) == b""
    assert push(stream, 5, 15) == TEXT[10:15]
    assert push(stream, 20, 30) == b""
    assert push(stream, 20, 30) == b""
    assert push(stream, 0, 30) == TEXT[15:30]


def test_the_first_copy_counts() -> None:
    stream = ByteStream(START)
    push(stream, 0, 10)
    assert stream.push(START + 5, b"lies!more") == b"more"


def test_early_copies_that_differ_are_malformed() -> None:
    for sequence, lie in ((START + 25, b"lies!"), (START + 5, b"x" * 20)):
        stream = ByteStream(START)
        push(stream, 20, 30)
        with pytest.raises(Malformed, match="different bytes"):
            stream.push(sequence, lie)


@pytest.mark.parametrize("place", [MAX_EARLY_BYTES, 1 << 30])
def test_what_comes_far_too_early_is_malformed(place: int) -> None:
    with pytest.raises(Malformed, match="early"):
        ByteStream(0).push(place, b"x")


def test_the_last_byte_that_may_come_early() -> None:
    stream = ByteStream(0)
    assert stream.push(1, bytes(MAX_EARLY_BYTES - 1)) == b""
    assert stream.push(0, b"x") == b"x" + bytes(MAX_EARLY_BYTES - 1)


def test_crumbs_are_bounded() -> None:
    stream = ByteStream(0)
    for number in range(MAX_EARLY_SEGMENTS):
        stream.push(2 + 2 * number, b"x")
    with pytest.raises(Malformed, match="early"):
        stream.push(1000, b"x")


def test_what_no_longer_waits_is_no_crumb() -> None:
    stream = ByteStream(0)
    for at in range(0, 6 * MAX_EARLY_SEGMENTS, 2):
        assert stream.push(at + 1, b"b") == b""
        assert stream.push(at, b"a") == b"ab"


def test_what_comes_early_again_and_again_is_one_crumb() -> None:
    stream = ByteStream(0)
    assert not any(stream.push(5, b"x") for _ in range(2 * MAX_EARLY_SEGMENTS))


def test_how_early_is_meant_from_what_came_out() -> None:
    stream = ByteStream(0)
    stream.push(0, bytes(3 * MAX_EARLY_BYTES))
    assert stream.push(3 * MAX_EARLY_BYTES + 1, b"x") == b""


def test_which_numbers_came_out() -> None:
    stream = ByteStream(START)
    push(stream, 0, 10)
    assert stream.covers(START)
    assert stream.covers(START + 10)
    assert stream.is_next(START + 10)
    assert not stream.covers(START + 11)
    assert not stream.covers(START - 1)
    assert not stream.is_next(START)


pieces = st.tuples(st.integers(0, len(TEXT)), st.integers(1, 60))


@given(st.lists(pieces, max_size=MAX_EARLY_SEGMENTS - 5), st.randoms(use_true_random=False))
def test_any_order_with_any_overlap(some: list[tuple[int, int]], chance: st.DataObject) -> None:
    whole = [(start, 50) for start in range(0, len(TEXT), 50)]
    sent = [*some, *whole]
    chance.shuffle(sent)  # type: ignore[attr-defined]
    stream = ByteStream(START)
    assert b"".join(push(stream, start, min(start + size, len(TEXT))) for start, size in sent) == TEXT
