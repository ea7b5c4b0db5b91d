"""Makes what the package needs from C: the BPF objects (clang) and the description of libbpf (cffi).

Hatchling calls the hook for wheels and editable installs; `python hatch_build.py` does the same in place.
Nothing is made again while it is newer than its sources.
"""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run alone, in an environment that has no hatchling
    BuildHookInterface = object  # type: ignore[assignment, misc]

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "bpf"
PACKAGE = ROOT / "src" / "tinysnitch" / "kernel" / "bpf"
OBJECTS = PACKAGE / "compiled"
ABI_HEADER = PACKAGE / "libbpf_abi.h"
ABI_MODULE = PACKAGE / "_libbpf_abi.py"
PREFERRED_CLANG = "clang-19"
FLAGS = ("-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg, misc, unused-ignore]
    """Hatchling finds the class by its base; the wheel stays pure Python, the objects run on any machine (CO-RE)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build_all()
        build_data["artifacts"] += [f"/{path.relative_to(ROOT)}" for path in (*OBJECTS.glob("*.bpf.o"), ABI_MODULE)]


def build_all() -> None:
    """Raises SystemExit, with what to install, when something is missing."""
    headers = sorted(SOURCES.rglob("*.h"))
    for source in sorted(SOURCES.rglob("*.bpf.c")):
        target = OBJECTS / source.with_suffix(".o").name
        if not is_fresh(target, (source, *headers, Path(__file__))):
            compile_object(source, target)
    if not is_fresh(ABI_MODULE, (ABI_HEADER, Path(__file__))):
        write_abi_module()


def is_fresh(target: Path, sources: tuple[Path, ...]) -> bool:
    return target.exists() and all(target.stat().st_mtime >= source.stat().st_mtime for source in sources)


def compile_object(source: Path, target: Path) -> None:
    """Through a temporary file: a build that fails leaves no half object behind."""
    clang = find_clang()
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    triplet = sysconfig.get_config_var("MULTIARCH")  # None where the distribution has no such folders
    includes = [f"-I{SOURCES}", *([f"-I/usr/include/{triplet}"] if triplet else [])]
    try:
        # The output is given by its bare name: LLVM replaces each % in the paths of its temporary files.
        flags = (*FLAGS, *strictness_of(clang), *includes)
        run(clang, *flags, "-c", str(source.absolute()), "-o", unfinished.name, folder=target.parent)
        strip = find_strip(clang)
        if strip:  # debug information goes, BTF stays
            run(strip, "-g", unfinished.name, folder=target.parent)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


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
    try:
        from cffi import FFI  # type: ignore[import-untyped, unused-ignore]
    except ModuleNotFoundError:
        raise SystemExit("cffi is missing\nhint: install the package's requirements first") from None
    ffi = FFI()
    ffi.set_source("tinysnitch.kernel.bpf._libbpf_abi", None)
    ffi.cdef(ABI_HEADER.read_text(encoding="utf-8"))
    ffi.emit_python_code(str(ABI_MODULE))
    ABI_MODULE.touch()  # cffi leaves a file alone that would not change


if __name__ == "__main__":
    build_all()
