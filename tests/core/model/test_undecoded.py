import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.undecoded import bytes_of, text_of


@given(st.binary())
def test_bytes_come_back(raw: bytes) -> None:
    assert bytes_of(text_of(raw)) == raw


def test_what_never_was_bytes_has_none() -> None:
    with pytest.raises(UnicodeEncodeError):
        bytes_of("\ud800")
