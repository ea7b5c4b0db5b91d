from tinysnitch.core.policy.pattern_table import PatternTable


def test_find_follows_what_is_in_use() -> None:
    table: PatternTable[str] = PatternTable(lambda pattern, text: text.startswith(pattern))
    assert table.find("abc") == ()
    for pattern in ("a", "ab", "a", "x"):
        table.count(pattern, 1)
    assert table.find("abc") == ("a", "ab")
    table.count("a", -1)
    assert table.find("abc") == ("a", "ab")
    table.count("a", -1)
    assert table.find("abc") == ("ab",)


def test_a_value_is_looked_at_once() -> None:
    asked: list[str] = []
    table: PatternTable[str] = PatternTable(lambda pattern, text: asked.append(text) is None)
    table.count("a", 1)
    assert [table.find("b"), table.find("b")] == [("a",), ("a",)]
    assert asked == ["b"]
    table.forget()
    assert table.find("b") == ("a",)
    assert asked == ["b", "b"]
