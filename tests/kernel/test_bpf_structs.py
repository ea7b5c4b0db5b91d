"""The mirror of tinysnitch.h has the layout that the compiler gave the objects, and texts survive the way and back."""

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.kernel import bpf_structs as structs
from tinysnitch.kernel.bpf_objects import PROGRAMS, object_path
from tinysnitch.kernel.bpf_structs import Image

names = st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name and b"/" not in name)
texts = st.binary(max_size=60).filter(lambda text: b"\0" not in text)


class Btf:
    def __init__(self, path: str) -> None:
        dump = subprocess.run(["bpftool", "-j", "btf", "dump", "file", path], check=True, capture_output=True).stdout
        self._types = {entry["id"]: entry for entry in json.loads(dump)["types"]}
        self.structs = {entry["name"]: entry for entry in self._types.values() if entry["kind"] == "STRUCT"}

    def offsets(self, struct: dict[str, Any]) -> dict[str, int]:
        """With the members of a struct inside spelled out."""
        found = {}
        for member in struct["members"]:
            inner = self._types[member["type_id"]]
            offset = member["bits_offset"] // 8
            if inner["kind"] == "STRUCT":
                found |= {f"{member['name']}.{name}": offset + at for name, at in self.offsets(inner).items()}
            else:
                found[member["name"]] = offset
        return found


@pytest.fixture(scope="module")
def objects() -> list[Btf]:
    return [Btf(str(object_path(name))) for name in PROGRAMS]


@pytest.mark.parametrize("name", structs.LAYOUTS)
def test_layout_is_that_of_the_objects(objects: list[Btf], name: str) -> None:
    layout = structs.LAYOUTS[name]
    holders = [btf for btf in objects if name in btf.structs]
    assert holders, f"no object has struct {name}"
    for btf in holders:
        assert layout.struct.size == btf.structs[name]["size"]
        assert layout.offsets() == btf.offsets(btf.structs[name])


def make_image(**changes: object) -> Image:
    numbers: dict[str, Any] = {field: 7 for field in Image.__struct_fields__} | {"flags": 0}
    return Image(**(numbers | {"executable": "/bin/true", "directory": "/", "args": ("true",)} | changes))


@given(
    st.lists(names, min_size=1, max_size=8), st.lists(texts, min_size=1, max_size=8).filter(lambda args: args != [b""])
)
def test_an_image_survives_encoding(path: list[bytes], args: list[bytes]) -> None:
    image = make_image(
        executable="/" + b"/".join(path).decode("utf-8", "surrogateescape"),
        args=tuple(arg.decode("utf-8", "surrogateescape") for arg in args),
    )
    assert structs.decode_image(structs.IMAGE.struct.pack(*structs.encode_image(image))) == image


@pytest.mark.parametrize(
    ("field", "value", "flag"),
    [
        ("executable", "/" + "x/" * structs.EXECUTABLE_SIZE, structs.IMAGE_PATH_CUT),
        ("directory", "/" + "x/" * structs.DIRECTORY_SIZE, structs.IMAGE_DIRECTORY_CUT),
        ("args", ("x" * structs.ARGS_SIZE, "y"), structs.IMAGE_ARGS_CUT),
    ],
)
def test_what_does_not_fit_is_flagged(field: str, value: object, flag: int) -> None:
    image = structs.decode_image(structs.IMAGE.struct.pack(*structs.encode_image(make_image(**{field: value}))))
    assert image.flags == flag
    assert getattr(image, field) != value
