"""Texts survive the way into BPF's bytes and back; what does not fit is cut and flagged."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.images import Image, decode_image, encode_image
from tinysnitch.kernel.bpf.layout import (
    ARGS_SIZE,
    DIRECTORY_SIZE,
    EXECUTABLE_SIZE,
    IMAGE_ARGS_CUT,
    IMAGE_DIRECTORY_CUT,
    IMAGE_PATH_CUT,
)

names = st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name and b"/" not in name)
texts = st.binary(max_size=60).filter(lambda text: b"\0" not in text)


def passed(image: layout.Image) -> layout.Image:
    """As it is read after it was written."""
    buffer = bytearray(layout.Image.FORMAT.size)
    image.pack_into(buffer)
    return layout.Image.unpack_from(buffer)


def make_image(**changes: object) -> Image:
    numbers: dict[str, Any] = {field: 7 for field in Image.__struct_fields__} | {"flags": 0}
    return Image(
        **(numbers | {"executable": "/bin/true", "directory": "/", "started_as": "true", "args": ("true",)} | changes)
    )


@given(
    st.lists(names, min_size=1, max_size=8), st.lists(texts, min_size=1, max_size=8).filter(lambda args: args != [b""])
)
def test_an_image_survives_encoding(path: list[bytes], args: list[bytes]) -> None:
    image = make_image(
        executable="/" + b"/".join(path).decode("utf-8", "surrogateescape"),
        args=tuple(arg.decode("utf-8", "surrogateescape") for arg in args),
    )
    assert decode_image(passed(encode_image(image))) == image


@pytest.mark.parametrize(
    ("field", "value", "flag"),
    [
        ("executable", "/" + "x/" * EXECUTABLE_SIZE, IMAGE_PATH_CUT),
        ("directory", "/" + "x/" * DIRECTORY_SIZE, IMAGE_DIRECTORY_CUT),
        ("args", ("x" * ARGS_SIZE, "y"), IMAGE_ARGS_CUT),
    ],
)
def test_what_does_not_fit_is_flagged(field: str, value: object, flag: int) -> None:
    image = decode_image(passed(encode_image(make_image(**{field: value}))))
    assert image.flags == flag
    assert getattr(image, field) != value
