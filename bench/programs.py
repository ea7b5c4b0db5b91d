"""The C programs of the benchmark: compiled when needed, each started in the lab and read as JSON."""

import json
import shutil
import subprocess
from pathlib import Path

import msgspec

from tests.lab.lab import Lab

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "bench"
EVERYWHERE = "connect_everywhere"  # connect_loop under another name, for which the bench has other rules


class Sample(msgspec.Struct, frozen=True):
    """The figures that connect_loop and start_loop print."""

    count: int
    refused: int
    failed: int  # neither connected nor refused; of a program: it said so at its end
    rate: float  # a second
    p50_us: float
    p99_us: float


def compile_programs() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    for source in HERE.glob("*.c"):
        program = BUILD / source.stem
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            command = ["gcc", "-O2", "-Wall", "-Wextra", "-pthread", "-o", str(program), str(source)]
            subprocess.run(command, check=True)
    shutil.copy(BUILD / "connect_loop", BUILD / EVERYWHERE)


def program_path(name: str) -> str:
    return str(BUILD / name)


def start_listening(child: subprocess.Popen[str]) -> None:
    assert child.stdout
    if child.stdout.readline() != "listening\n":
        raise RuntimeError("a program of the benchmark did not start")


def run_connect_loop(lab: Lab, *words: str, program: str = "connect_loop") -> Sample:
    return parse_sample(lab.run([program_path(program), *words], timeout_s=60))


def parse_sample(done: subprocess.CompletedProcess[str]) -> Sample:
    if done.returncode:
        raise RuntimeError(f"{done.args}: {done.stderr}")
    return msgspec.convert(json.loads(done.stdout), Sample)
