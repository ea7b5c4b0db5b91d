"""Failures of libbpf become errors that say what is wrong; maps give and take objects."""

import errno
import subprocess
from pathlib import Path

import pytest

import hatch_build
from tests.bpf.bpf_place import BpfPlace
from tinysnitch.core.model.errors import SHORTAGE_HINT, NotPermitted, SnitchError
from tinysnitch.kernel.bpf import libbpf
from tinysnitch.kernel.bpf.libbpf import BPF_NOEXIST, U32, Map, ObjectFile


@pytest.fixture
def numbers(place: BpfPlace) -> Map:
    path = place.bpffs / "numbers"
    shape = ["type", "hash", "key", "4", "value", "4", "entries", "2", "name", "numbers"]
    subprocess.run(["bpftool", "map", "create", path, *shape], check=True)
    return Map(path, U32, U32)


@pytest.mark.privileged
def test_a_map_keeps_what_is_written(numbers: Map) -> None:
    assert numbers.find(1) is None
    assert numbers.write(1, 10)
    assert numbers.find(1) == 10
    assert not numbers.write(1, 11, BPF_NOEXIST)
    assert numbers.delete(1)
    assert not numbers.delete(1)
    numbers.close()


@pytest.mark.privileged
def test_its_keys_are_listed(numbers: Map) -> None:
    assert list(numbers.keys()) == []
    numbers.write(1, 10)
    numbers.write(2, 20)
    assert sorted(numbers.keys()) == [1, 2]
    numbers.close()
    with pytest.raises(SnitchError):
        list(numbers.keys())


@pytest.mark.privileged
def test_what_goes_wrong_with_a_map_is_told(numbers: Map) -> None:
    numbers.close()
    numbers.fd = -1
    for do, what in (
        (lambda: numbers.find(1), "reading"),
        (lambda: list(numbers.keys()), "reading"),
        (lambda: numbers.write(1, 1), "writing"),
        (lambda: numbers.delete(1), "deleting from"),
    ):
        with pytest.raises(SnitchError, match=f"{what} {numbers.path}: Bad file descriptor"):
            do()


@pytest.mark.privileged
def test_a_full_map_says_so(numbers: Map) -> None:
    numbers.write(1, 1)
    numbers.write(2, 2)
    assert not numbers.write(3, 3)
    assert numbers.turned_away == 1
    numbers.close()


@pytest.mark.privileged
def test_what_the_verifier_says_is_in_the_error(place: BpfPlace, tmp_path: Path) -> None:
    source = tmp_path / "bad.bpf.c"
    source.write_text('__attribute__((section("socket"))) int bad(void *ctx) { return *(volatile int *)(long)8; }\n')
    target = tmp_path / "bad.bpf.o"
    subprocess.run([hatch_build.find_clang(), "-target", "bpf", "-O2", "-g", "-c", source, "-o", target], check=True)
    with pytest.raises(SnitchError, match=r"loading bad\.bpf\.o: .*invalid mem access") as caught:
        ObjectFile(target, place.bpffs)
    assert caught.value.hint


def test_a_file_that_is_no_object_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.bpf.o").write_text("no ELF")
    with pytest.raises(SnitchError, match=r"text\.bpf\.o"):
        ObjectFile(tmp_path / "text.bpf.o", tmp_path)


def test_a_pin_that_is_missing_is_named() -> None:
    with pytest.raises(SnitchError, match="opening /sys/fs/bpf/no/such/pin: No such file"):
        libbpf.open_pinned(Path("/sys/fs/bpf/no/such/pin"))


def test_eperm_is_not_permitted() -> None:
    with pytest.raises(NotPermitted, match="loading x"):
        libbpf.raise_load_failure("x", errno.EPERM, "")
    with pytest.raises(NotPermitted, match="reading y"):
        libbpf.raise_errno("reading y", errno.EPERM)


def test_a_shortage_is_told_from_a_kernel_that_cannot() -> None:
    with pytest.raises(SnitchError) as caught:
        libbpf.raise_errno("writing z", errno.ENOMEM)
    assert (str(caught.value), caught.value.hint) == ("writing z: Cannot allocate memory", SHORTAGE_HINT)


def test_a_verifier_log_is_shortened_to_its_end() -> None:
    with pytest.raises(SnitchError) as caught:
        libbpf.raise_load_failure("x", errno.EINVAL, "\n".join(f"line {number}" for number in range(100)))
    assert str(caught.value).endswith("line 97; line 98; line 99")
    assert "line 90" not in str(caught.value)
