"""When each may have only so many packets held, and when no longer."""

from tinysnitch.daemon.crowding import CALM_NS, MANY, PATIENCE_NS, Crowding
from tinysnitch.kernel.bpf_structs import CROWD_MOMENT_NS

BATCH = 64
STEP_NS = PATIENCE_NS // 10  # that a batch takes


class Flood:
    """A queue with so many packets in it, and a kernel's side that tells when one was too many last."""

    def __init__(self, waiting: int) -> None:
        self.waiting, self.now_ns, self.moment = waiting, 10**15, 0
        self.looks = 0
        self.limits: list[int] = []
        self.crowding = Crowding(self._count, self.limits.append, lambda: self.moment, lambda: self.now_ns)

    def _count(self) -> int:
        self.looks += 1
        return self.waiting

    def judge(self, batches: int, *, is_full: bool = True) -> None:
        for _ in range(batches):
            self.now_ns += STEP_NS
            self.crowding.note_batch(BATCH, BATCH if is_full else BATCH + 1)

    def turn_away(self) -> None:
        self.moment = self.now_ns // CROWD_MOMENT_NS & 0xFFFFFFFF


def test_a_quarter_of_what_is_judged_is_for_each() -> None:
    flood = Flood(MANY)
    flood.judge(11)
    assert flood.limits == [BATCH * CROWD_MOMENT_NS // STEP_NS // 4]


def test_a_slow_machine_lets_each_have_some() -> None:
    flood = Flood(MANY)
    flood.judge(1)
    flood.now_ns += 10**12
    flood.judge(1)
    assert flood.limits == [4]


def test_what_finds_room_is_not_limited_however_long_it_goes_on() -> None:
    flood = Flood(MANY - 1)
    flood.judge(100)
    assert flood.limits == []
    assert 0 < flood.looks < 10


def test_what_is_caught_up_with_is_not_even_counted() -> None:
    flood = Flood(MANY)
    for _ in range(20):
        flood.judge(9)
        flood.judge(1, is_full=False)
    assert (flood.limits, flood.looks) == ([], 0)


def test_it_lasts_while_there_is_too_much() -> None:
    flood = Flood(MANY)
    flood.judge(11)
    for _ in range(CALM_NS * 3 // STEP_NS):
        flood.turn_away()
        flood.judge(1, is_full=False)
    assert len(flood.limits) == 1
    flood.judge(CALM_NS // STEP_NS + 20, is_full=False)
    assert flood.limits[1:] == [0]


def test_the_next_one_is_limited_anew() -> None:
    flood = Flood(MANY)
    flood.judge(11)
    flood.now_ns += 2 * CALM_NS
    flood.judge(1, is_full=False)
    flood.judge(11)
    assert flood.limits == [flood.limits[0], 0, flood.limits[0]]
