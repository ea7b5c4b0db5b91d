"""Page loads: what is asked for without a pause."""

from tinysnitch.core.traffic.asked_names import PAUSE_S, AskedName, join_loads


def ask(at_s: float, name: str, *, is_denied: bool = False) -> AskedName:
    return AskedName(
        load=0, at_s=at_s, program="/p", name=name, domain=name, questions=1, is_used=True, is_denied=is_denied
    )


def test_a_pause_begins_another_load_and_a_name_is_told_once_in_each() -> None:
    asked = [
        ask(1, "a"),
        ask(1, "a", is_denied=True),
        ask(5, "b"),
        ask(5 + PAUSE_S - 0.1, "a"),
        ask(15, "a"),
        ask(15, "c"),
    ]
    told = [(each.load, each.at_s, each.name, each.questions, each.is_denied) for each in join_loads(asked)]
    assert told == [(0, 1, "a", 3, True), (0, 5, "b", 1, False), (1, 15, "a", 1, False), (1, 15, "c", 1, False)]
    assert list(join_loads([])) == []
