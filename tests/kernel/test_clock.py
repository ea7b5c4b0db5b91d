import time

from tinysnitch.kernel.clock import read_instant


def test_both_clocks_are_read_now() -> None:
    before = (time.clock_gettime(time.CLOCK_BOOTTIME), time.time())
    now = read_instant()
    assert before[0] <= now.boot_s <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(now.wall_s - before[1]) < 60
