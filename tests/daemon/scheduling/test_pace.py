from tinysnitch.daemon.scheduling.pace import Pace


def count_at(pace: Pace, now_s: float) -> int:
    """How often it may be done at this time."""
    return next(count for count in range(100) if not pace.may_go(now_s))


def test_so_many_times_at_once_and_then_one_each_while() -> None:
    pace = Pace(burst=3, each_s=10.0)
    assert [count_at(pace, now_s) for now_s in (50.0, 59.0, 60.0, 85.0)] == [3, 0, 1, 2]


def test_what_was_not_used_is_not_saved_up() -> None:
    pace = Pace(burst=3, each_s=10.0)
    assert [count_at(pace, now_s) for now_s in (0.0, 1e6)] == [3, 3]


def test_how_long_to_wait() -> None:
    pace = Pace(burst=2, each_s=10.0)
    waits = []
    for _ in range(4):
        waits.append(pace.wait_s(50.0))
        pace.note(50.0)
    assert waits == [0.0, 0.0, 10.0, 20.0]
    assert pace.wait_s(65.0) == 15.0
    assert pace.wait_s(1e6) == 0.0
