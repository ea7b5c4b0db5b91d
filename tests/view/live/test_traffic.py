from tests.view.live.sample_traffic import WALL_S, entry, later
from tinysnitch.view.live.traffic import MAX_KEPT, STEP_S, STEPS, Meter, Sum, Traffic, key_of


def test_what_is_alike_adds_up_and_what_is_not_stays_apart() -> None:
    traffic = Traffic()
    traffic.add([entry(), entry(port=80)], WALL_S + 1)
    traffic.add([later(entry(), 1.5)], WALL_S + 2)
    meter, other = (traffic.meters[key_of(entry(port=port))] for port in (443, 80))
    assert (meter.connections, meter.bytes_in, meter.bytes_out, other.connections) == (2, 6000, 600, 1)
    assert (meter.first_s, meter.last_s) == (WALL_S, WALL_S + 1.5)


def test_a_rate_is_the_mean_of_the_last_seconds_and_falls_to_nothing() -> None:
    meter = Meter(key_of(entry()), WALL_S)
    for second in (1, 2, 3):
        meter.add(entry(), WALL_S + second)
    assert meter.rates(WALL_S + 3) == (3000, 300)
    assert meter.rates(WALL_S + 3.6) == (2000, 200)
    assert meter.rates(WALL_S + 7) == (0, 0)
    assert Sum([meter, meter], WALL_S + 3).rate == 6600


def test_rates_are_of_the_second_that_was_told_last_while_it_is_fresh() -> None:
    traffic = Traffic()
    traffic.add([], WALL_S)
    assert [traffic.moment(WALL_S + late) for late in (-1, 0.3, 1.4, 1.6)] == [WALL_S - 1, WALL_S, WALL_S, WALL_S + 1.6]


def test_the_line_has_the_last_minutes_and_forgets_older_ones() -> None:
    meter = Meter(key_of(entry()), WALL_S)
    for second in range(0, 3600, 5):
        meter.add(entry(bytes_in=second, bytes_out=0), WALL_S + second)
    assert len(meter.steps) == STEPS
    line = Sum([meter], WALL_S + 3595).line(WALL_S + 3595, 10)
    assert len(line) == 10
    assert sum(line) == sum(range(3600 - int(STEPS * STEP_S), 3600, 5))
    assert list(line) == sorted(line)
    assert Sum([meter], WALL_S + 9999).line(WALL_S + 9999, 10) == (0,) * 10


def test_there_is_an_end_to_what_is_kept_and_the_rest_is_counted() -> None:
    traffic = Traffic()
    traffic.add([entry(name=f"n{number}.test") for number in range(MAX_KEPT)], WALL_S)
    traffic.add([entry(name="n0.test"), entry(name="new.test")], WALL_S + 1, left_out=5)
    assert (len(traffic.meters), traffic.left_out) == (MAX_KEPT, 6)
    assert key_of(entry(name="n1.test")) not in traffic.meters, "it talked longest ago"
    assert key_of(entry(name="n0.test")) in traffic.meters
