"""Makes what the package needs from C: the BPF objects (clang), the description of libbpf (cffi), and Python classes of
the structures that BPF and Python share.

Hatchling calls the hook for wheels and editable installs; `python hatch_build.py` does the same in place.
Nothing is made again while it is newer than its sources.
"""

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from struct import calcsize
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run alone, in an environment that has no hatchling
    BuildHookInterface = object  # type: ignore[assignment, misc]

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "bpf"
PACKAGE = ROOT / "src" / "tinysnitch" / "kernel" / "bpf"
OBJECTS = PACKAGE / "compiled"
MANUAL = ROOT / "share"
ABI_HEADER = PACKAGE / "libbpf_abi.h"
ABI_MODULE = PACKAGE / "_libbpf_abi.py"
SHARED_HEADER = SOURCES / "include" / "tinysnitch.h"
LAYOUT_MODULE = PACKAGE / "layout.py"
CODES = {"uint64_t": "Q", "uint32_t": "I", "uint16_t": "H", "uint8_t": "B"}  # of the struct module
PREFERRED_CLANG = "clang-19"
DEFAULTS = {"int": "0", "bytes": 'b""'}
LAYOUT_HEAD = '''\
"""Made by hatch_build.py from bpf/include/tinysnitch.h: its numbers, and a class for each structure.

The defaults are zero, as in C. `pack_into` and `unpack_from` write and read the bytes that BPF has.
"""

from struct import Struct
from typing import Any, ClassVar

import msgspec
'''
LAYOUT_CLASS = """

class {name}(msgspec.Struct, frozen=True, gc=False):
{fields}

    FORMAT: ClassVar[Struct] = Struct("{format}")
    OFFSETS: ClassVar[dict[str, int]] = {{{offsets}}}

    def pack_into(self, buffer: Any, /) -> None:
        self.FORMAT.pack_into(buffer, 0, {values})

    @classmethod
    def unpack_from(cls, buffer: Any, offset: int = 0, /) -> "{name}":
        values = cls.FORMAT.unpack_from(buffer, offset)
        return {made}
"""
TARGET = ("-target", "bpf", "-mcpu=v3", "-O2")
FLAGS = (*TARGET, "-g", "-Wall", "-Wextra", "-Wno-unused-parameter")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg, misc, unused-ignore]
    """Hatchling finds the class by its base; the wheel stays pure Python, the objects run on any machine (CO-RE)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build_all()
        made = (*OBJECTS.glob("*.bpf.o"), ABI_MODULE, LAYOUT_MODULE)
        build_data["artifacts"] += [f"/{path.relative_to(ROOT)}" for path in made]
        if MANUAL.is_dir():  # a release has made it before (release/source.py)
            build_data["shared_data"][str(MANUAL)] = "share"


def build_all() -> None:
    """Raises SystemExit, with what to install, when something is missing."""
    headers = sorted(SOURCES.rglob("*.h"))
    for source in sorted(SOURCES.rglob("*.bpf.c")):
        target = OBJECTS / source.with_suffix(".o").name
        if not is_fresh(target, (source, *headers, Path(__file__))):
            compile_object(source, target)
    if not is_fresh(ABI_MODULE, (ABI_HEADER, Path(__file__))):
        write_abi_module()
    if not is_fresh(LAYOUT_MODULE, (SHARED_HEADER, Path(__file__))):
        LAYOUT_MODULE.write_text(describe_layout(SHARED_HEADER.read_text(encoding="utf-8")), encoding="utf-8")


def is_fresh(target: Path, sources: tuple[Path, ...]) -> bool:
    return target.exists() and all(target.stat().st_mtime >= source.stat().st_mtime for source in sources)


def compile_object(source: Path, target: Path) -> None:
    """Through temporary files: a build that fails leaves no half object behind.

    The same bytes in each clone: paths are as seen from the target's folder, and the last step reads bitcode alone.
    LLVM orders forward declarations in BTF by their place in memory (FixupDerivedTypes in BTFDebug.h), which depends on
    the length of every path that the same process has seen.
    """
    clang, folder = find_clang(), target.parent.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    bitcode, unfinished = target.with_suffix(".bc"), target.with_suffix(".unfinished")
    triplet = sysconfig.get_config_var("MULTIARCH")  # None where the distribution has no such folders
    includes = [f"-I{os.path.relpath(SOURCES, folder)}", *([f"-I/usr/include/{triplet}"] if triplet else [])]
    flags = (*FLAGS, *strictness_of(clang), *includes, "-ffile-compilation-dir=.")
    try:
        # Outputs are given by their bare names: LLVM replaces each % in the paths of its temporary files.
        run(clang, *flags, "-emit-llvm", "-c", os.path.relpath(source, folder), "-o", bitcode.name, folder=folder)
        finish = ("-Xclang", "-disable-llvm-passes", "-x", "ir")  # it is optimized already
        run(clang, *TARGET, *finish, "-c", bitcode.name, "-o", unfinished.name, folder=folder)
        strip = find_strip(clang)
        if strip:  # debug information goes, BTF stays
            run(strip, "-g", unfinished.name, folder=folder)
        unfinished.replace(target)
    finally:
        for path in (bitcode, unfinished):
            path.unlink(missing_ok=True)


def run(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}\nhint: needs clang, libbpf-dev and linux-libc-dev")


def find_clang() -> str:
    """The path of the clang that we test with, else of the newest that can compile for BPF."""
    names = {path.name for folder in command_folders() for path in folder.glob("clang*")}
    numbered = [name for name in names if re.fullmatch(r"clang-\d+", name)]
    numbered.sort(key=lambda name: (name == PREFERRED_CLANG, int(name.removeprefix("clang-"))), reverse=True)
    for name in (*numbered, "clang"):
        path = shutil.which(name)
        if path and can_make_bpf(path):
            return path
    raise SystemExit("no clang that can compile for BPF\nhint: apt install clang-19 llvm-19 libbpf-dev")


def strictness_of(clang: str) -> tuple[str, ...]:
    """Warnings are errors only with the clang that we test with: 21 and newer, say, warn of macros of libbpf < 1.6."""
    return ("-Werror",) if Path(clang).name == PREFERRED_CLANG else ()


def command_folders() -> list[Path]:
    """The folders in which a shell would look for commands."""
    return [Path(folder) for folder in os.get_exec_path() if Path(folder).is_dir()]


def can_make_bpf(clang: str) -> bool:
    done = subprocess.run([clang, "-print-targets"], capture_output=True, text=True, check=False)
    return re.search(r"^\s*bpf\s", done.stdout, re.MULTILINE) is not None


def find_strip(clang: str) -> str | None:
    suffix = Path(clang).name.removeprefix("clang")
    return shutil.which(f"llvm-strip{suffix}") or shutil.which("llvm-strip")


def write_abi_module() -> None:
    ffi = make_ffi()
    ffi.set_source("tinysnitch.kernel.bpf._libbpf_abi", None)
    ffi.cdef(ABI_HEADER.read_text(encoding="utf-8"))
    ffi.emit_python_code(str(ABI_MODULE))
    ABI_MODULE.touch()  # cffi leaves a file alone that would not change


def make_ffi() -> Any:  # noqa: ANN401  (cffi has no types)
    try:
        from cffi import FFI  # type: ignore[import-untyped, unused-ignore]
    except ModuleNotFoundError:
        raise SystemExit("cffi is missing\nhint: install the package's requirements first") from None
    return FFI()


def describe_layout(header: str) -> str:
    """The source of a module with the numbers and the structures of a header that has fixed-width types alone."""
    ffi = make_ffi()
    declarations = re.sub(
        r"#(ifndef|endif|define \w+_H$).*|__attribute__\(.*?\)\)(?=;)", "", header, flags=re.MULTILINE
    )
    ffi.cdef("".join(f"typedef {name} __{name[0]}{name[4:-2]};" for name in CODES))  # as in linux/types.h
    ffi.cdef(declarations)
    numbers = ffi.dlopen(None)
    enums = {
        name: ffi.typeof(f"enum {name}").relements for name in re.findall(r"^enum (\w+)", declarations, re.MULTILINE)
    }
    structs = [ffi.typeof(found) for found in re.findall(r"^struct \w+(?= \{)", declarations, re.MULTILINE)]
    return "\n".join(
        (
            LAYOUT_HEAD,
            *(f"{name} = {getattr(numbers, name)}" for name in dir(numbers)),
            "",
            *(f"{name.upper()}_NAMES = {tuple(sorted(members, key=members.get))}" for name, members in enums.items()),
            *(describe_struct(each, ffi.sizeof(each)) for each in structs),
        )
    )


def describe_struct(struct: Any, size: int) -> str:  # noqa: ANN401  (a ctype of cffi)
    """The class of a structure: fields in its order, structures inside it as objects of their own classes."""
    fields = [(name, python_type(field.type), field.offset) for name, field in struct.fields if name != "pad"]
    codes = format_of(struct)
    if calcsize(codes) != size:
        raise SystemExit(f"{struct.cname} has holes\nhint: call them `pad`")
    return LAYOUT_CLASS.format(
        name=class_name(struct),
        fields="\n".join(f"    {name}: {kind} = {DEFAULTS.get(kind, kind + '()')}" for name, kind, _offset in fields),
        format=codes,
        offsets=", ".join(f'"{name}": {offset}' for name, _kind, offset in fields),
        values=", ".join(read_fields(struct, "self")),
        made=make_object(struct, iter(range(len(codes)))),
    )


def format_of(struct: Any) -> str:  # noqa: ANN401
    """As the struct module has it."""
    codes = ""
    for name, field in struct.fields:
        kind = field.type
        if kind.kind == "struct":
            codes += format_of(kind).removeprefix("=")
        elif kind.kind == "array":
            codes += f"{kind.length}s"
        else:
            code = CODES[kind.cname]
            codes += f"{calcsize(code)}x" if name == "pad" else code
    return f"={codes}"


def read_fields(struct: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    """The expressions that read all fields of an object, with those of the objects in it."""
    for name, field in struct.fields:
        if field.type.kind == "struct":
            yield from read_fields(field.type, f"{path}.{name}")
        elif name != "pad":
            yield f"{path}.{name}"


def make_object(struct: Any, indices: Iterator[int]) -> str:  # noqa: ANN401
    """The expression that makes an object of the values in their flat order."""
    parts = (
        make_object(field.type, indices) if field.type.kind == "struct" else f"values[{next(indices)}]"
        for name, field in struct.fields
        if name != "pad"
    )
    return f"{class_name(struct)}({', '.join(parts)})"


def python_type(kind: Any) -> str:  # noqa: ANN401
    return {"struct": class_name, "array": lambda _kind: "bytes"}.get(kind.kind, lambda _kind: "int")(kind)


def class_name(struct: Any) -> str:  # noqa: ANN401
    return struct.cname.removeprefix("struct ").title().replace("_", "")


if __name__ == "__main__":
    build_all()
