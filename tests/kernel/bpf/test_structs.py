"""The mirror of tinysnitch.h has its numbers and the layout of the built objects; texts survive the way and back."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysnitch.core.model.process import KERNEL_EXEC_ID
from tinysnitch.kernel.bpf import structs as structs
from tinysnitch.kernel.bpf.objects import PROGRAMS, object_path
from tinysnitch.kernel.bpf.structs import Image
from tinysnitch.kernel.netfilter.rules import ALLOW_BIT, SCOPED_ALLOW_BIT

SOURCES = Path(__file__).parents[3] / "bpf"
LAYOUTS = {name.lower(): value for name, value in vars(structs).items() if isinstance(value, structs.Layout)}
names = st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name and b"/" not in name)
texts = st.binary(max_size=60).filter(lambda text: b"\0" not in text)


class Btf:
    def __init__(self, path: str) -> None:
        dump = subprocess.run(["bpftool", "-j", "btf", "dump", "file", path], check=True, capture_output=True).stdout
        self._types = {entry["id"]: entry for entry in json.loads(dump)["types"]}
        self.structs = {entry["name"]: entry for entry in self._types.values() if entry["kind"] == "STRUCT"}

    def offsets(self, struct: dict[str, Any]) -> dict[str, int]:
        """The fields of a struct, with those of structs inside it."""
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


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_is_that_of_the_objects(objects: list[Btf], name: str) -> None:
    layout = LAYOUTS[name]
    holders = [btf for btf in objects if name in btf.structs]
    assert holders, f"no object has struct {name}"
    for btf in holders:
        assert layout.struct.size == btf.structs[name]["size"]
        assert layout.offsets() == btf.offsets(btf.structs[name])


def read_header(name: str) -> str:
    """The header without its comments."""
    return re.sub(r"/\*.*?\*/", "", (SOURCES / name).read_text(), flags=re.DOTALL)


def read_enum(header: str, name: str) -> dict[str, int]:
    body = re.search(rf"enum {name} \{{(.*?)\}}", header, re.DOTALL)
    assert body, f"no enum {name}"
    numbers: dict[str, int] = {}
    for member in filter(None, map(str.strip, body[1].split(","))):
        key, _equals, value = member.partition(" = ")
        numbers[key] = int(value) if value else max(numbers.values(), default=-1) + 1
    return numbers


def defined_numbers(header: str) -> Iterator[tuple[str, int]]:
    for name, value, shift in re.findall(r"^#define (\w+) \(?(\w+)(?: << (\d+)\))?\s*$", header, re.MULTILINE):
        yield name, int(value.removesuffix("ULL"), 0) << int(shift or 0)


def test_numbers_are_those_of_the_header() -> None:
    header = read_header("include/tinysnitch.h")
    numbers = dict(defined_numbers(header))
    for enum in re.findall(r"enum (\w+) \{", header):
        numbers |= read_enum(header, enum)
    mirrored = {name: value for name, value in vars(structs).items() if name.isupper() and isinstance(value, int)}
    assert mirrored == {name: numbers.get(name) for name in mirrored}
    assert {"ANSWER_NS", "ARGS_SIZE", "EXEC_ID_SEEDED", "IMAGE_DELETED", "WATCH_CUT"} <= mirrored.keys()
    assert numbers["EXEC_ID_KERNEL"] == KERNEL_EXEC_ID


def test_statistics_and_traces_are_called_as_in_the_header() -> None:
    header = read_header("include/tinysnitch.h")
    *statistics, end = read_enum(header, "statistic")
    assert tuple(map(str.lower, statistics)) == structs.STATISTICS
    assert end == "STATISTICS"
    kinds = read_enum(header, "trace_kind")
    told = {number: kind.value for number, kind in structs.TRACE_KINDS.items()}
    assert {number: name.removeprefix("TRACE_").lower() for name, number in kinds.items()} == told


def test_the_marks_of_what_was_seen_are_those_that_netfilter_knows() -> None:
    marks = dict(defined_numbers(read_header("verdict/lookup.bpf.h")))
    assert [marks[name] for name in ("ALLOW_MARK", "SCOPED_ALLOW_MARK")] == [ALLOW_BIT, SCOPED_ALLOW_BIT]


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
