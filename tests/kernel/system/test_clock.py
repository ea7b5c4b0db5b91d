import subprocess
import sys
import time

import pytest

from tinysnitch.kernel.system.clock import check_boot_clock, read_boot_id, read_boot_moment_ns, read_instant


def test_both_clocks_are_read_now() -> None:
    before = (time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
    now = read_instant()
    assert before[0] <= now.boot_s <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(now.wall_s - before[1]) < 60


def test_the_moment_of_the_boot_leads_from_one_clock_to_the_other() -> None:
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    before_ns = time.time_ns()
    assert before_ns - boot_ns - 1e9 < read_boot_moment_ns() < before_ns - boot_ns + 60e9


def test_a_boot_has_one_id() -> None:
    assert len(read_boot_id()) == len("00000000-0000-0000-0000-000000000000")
    assert read_boot_id() == read_boot_id()


def test_the_usual_clock_is_the_kernels() -> None:
    check_boot_clock()


@pytest.mark.privileged
@pytest.mark.parametrize(
    ("offset", "is_the_kernels"),
    [("--boottime=0", True), ("--monotonic=86400", True), ("--boottime=86400", False), ("--boottime=-1", False)],
)
def test_a_time_namespace_may_have_another_clock(offset: str, is_the_kernels: bool) -> None:
    code = "from tinysnitch.kernel.system.clock import check_boot_clock; check_boot_clock()"
    command = ["unshare", "--time", offset, "--fork", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    problem = "SnitchError: the boot-time clock of this time namespace is not the kernel's\n"
    assert done.stderr.endswith(problem) is not is_the_kernels
    assert (done.returncode == 0) is is_the_kernels, done.stderr
