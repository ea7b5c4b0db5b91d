"""The classes that the build makes of tinysnitch.h have the layouts that BTF says of the built objects."""

import json
import re
import subprocess
from typing import Any

import msgspec
import pytest

from hatch_build import SOURCES, describe_layout
from tinysnitch.core.model.process import KERNEL_EXEC_ID
from tinysnitch.kernel.bpf import layout
from tinysnitch.kernel.bpf.objects import PROGRAMS, object_path
from tinysnitch.kernel.netfilter.rules import ALLOW_BIT, SCOPED_ALLOW_BIT

STRUCTS = {
    name: each for name, each in vars(layout).items() if isinstance(each, type) and issubclass(each, msgspec.Struct)
}
HEADER = """
#ifndef SMALL_H
#define SMALL_H
#define MOST 0x10ULL /* of them */
enum colour { RED = 1, BLUE = 4, GREEN };
struct inner { __u32 number; __u8 bytes[3]; __u8 pad; } __attribute__((aligned(8)));
struct outer_thing {
	__u64 wide; /* ; } */
	struct inner inner;
	__u16 narrow;
	__u16 colour;
	__u32 pad;
};
#endif
"""


class Btf:
    def __init__(self, path: str) -> None:
        dump = subprocess.run(["bpftool", "-j", "btf", "dump", "file", path], check=True, capture_output=True).stdout
        entries = json.loads(dump)["types"]
        self.structs = {entry["name"]: entry for entry in entries if entry["kind"] == "STRUCT"}

    def offsets(self, name: str) -> dict[str, int]:
        members = self.structs[name]["members"]
        return {each["name"]: each["bits_offset"] // 8 for each in members if each["name"] != "pad"}


@pytest.fixture(scope="module")
def objects() -> list[Btf]:
    return [Btf(str(object_path(name))) for name in PROGRAMS]


def c_name(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


@pytest.mark.parametrize("name", STRUCTS)
def test_a_layout_is_that_of_the_objects(objects: list[Btf], name: str) -> None:
    holders = [btf for btf in objects if c_name(name) in btf.structs]
    assert holders, f"no object has struct {c_name(name)}"
    for btf in holders:
        assert STRUCTS[name].FORMAT.size == btf.structs[c_name(name)]["size"]
        assert btf.offsets(c_name(name)) == STRUCTS[name].OFFSETS


def test_numbers_that_others_know_too_are_theirs() -> None:
    assert layout.EXEC_ID_KERNEL == KERNEL_EXEC_ID
    marks = re.findall(r"^#define (\w+_MARK) (0x\w+)$", (SOURCES / "verdict/lookup.bpf.h").read_text(), re.MULTILINE)
    assert {name: int(value, 0) for name, value in marks} == {
        "ALLOW_MARK": ALLOW_BIT,
        "SCOPED_ALLOW_MARK": SCOPED_ALLOW_BIT,
    }


@pytest.fixture
def made() -> dict[str, Any]:
    """The module that a small header becomes."""
    module: dict[str, Any] = {}
    exec(describe_layout(HEADER), module)
    return module


def test_a_header_becomes_numbers_and_classes(made: dict[str, Any]) -> None:
    assert (made["MOST"], made["BLUE"], made["COLOUR_NAMES"]) == (16, 4, ("RED", "BLUE", "GREEN"))
    thing = made["OuterThing"](wide=2**40, inner=made["Inner"](number=7, bytes=b"abc"), colour=made["GREEN"])
    buffer = bytearray(made["OuterThing"].FORMAT.size)
    thing.pack_into(buffer)
    assert buffer == (2**40).to_bytes(8, "little") + b"\7\0\0\0abc\0" + b"\0\0\5\0" + bytes(4)
    assert made["OuterThing"].unpack_from(b"before" + buffer, 6) == thing
    assert made["OuterThing"].OFFSETS == {"wide": 0, "inner": 8, "narrow": 16, "colour": 18}


def test_what_is_left_out_is_zero(made: dict[str, Any]) -> None:
    buffer = bytearray(b"x" * made["OuterThing"].FORMAT.size)
    made["OuterThing"]().pack_into(buffer)
    assert not any(buffer)


def test_holes_are_refused() -> None:
    with pytest.raises(SystemExit, match="struct inner has holes"):
        describe_layout("struct inner {\n\t__u8 small;\n\t__u64 wide;\n};")
