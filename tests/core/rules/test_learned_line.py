from tinysnitch.core.rules.learned_line import PAUSE, format_learned, split_learned


def test_a_line_says_why_and_since_when_and_is_split_again() -> None:
    line = format_learned("allow shop.test - -", PAUSE, 1_700_000_000.0)
    assert line == "allow shop.test - - # pause since 2023-11-14T22:13:20Z"
    assert split_learned(line) == ("allow shop.test - -", "pause since 2023-11-14T22:13:20Z")
    assert split_learned("allow - - - /bin/sh '# pause since noon'") == ("allow - - - /bin/sh '# pause since noon'", "")
