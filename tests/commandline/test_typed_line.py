import pytest

from tinysnitch.commandline.typed_line import TypedLine, read_line


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("", TypedLine()),
        ("a b", TypedLine(["a"], "b", "b")),
        ("a b ", TypedLine(["a", "b"])),
        (r"a 'b c' d\ e", TypedLine(["a", "b c"], "d e", r"d\ e")),
        ("a '' ", TypedLine(["a", ""])),
        ("a 'b c", TypedLine(["a"], "b c", "'b c", "'")),
        ('a x="b\\"c', TypedLine(["a"], 'x=b"c', 'x="b\\"c', '"', "x=")),
        (r"a 'b\c'", TypedLine(["a"], r"b\c", r"'b\c'")),
        ("a \\", TypedLine(["a"], "", "\\")),
    ],
)
def test_a_line_is_read_as_a_shell_reads_it(line: str, typed: TypedLine) -> None:
    read = read_line(line)
    if not read.quote:
        read.before_quote = ""
    assert read == typed
