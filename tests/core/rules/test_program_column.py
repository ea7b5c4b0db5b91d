import pytest

from tinysnitch.core.rules.program_column import (
    format_args,
    format_program,
    parse_args,
    parse_program,
    split_program,
)
from tinysnitch.core.rules.quoting import BadWord, split_words
from tinysnitch.core.rules.rule import ANY_PROGRAM, Program, ProgramKind


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("-", ANY_PROGRAM),
        ("kernel", Program(ProgramKind.KERNEL)),
        ("unknown", Program(ProgramKind.UNKNOWN)),
        ("/usr/bin/curl", Program(ProgramKind.PATH, "/usr/bin/curl")),
        ("'/opt/my app/x'", Program(ProgramKind.PATH, "/opt/my app/x")),
        ("'/opt/*'", Program(ProgramKind.PATH, "/opt/*")),
        (r"$'/opt/a\\b'", Program(ProgramKind.PATH, "/opt/a\\b")),
        ("/opt/*/x", Program(ProgramKind.GLOB, "/opt/*/x")),
        ("/opt/'* *'/**", Program(ProgramKind.GLOB, r"/opt/\* \*/**")),
        ("unit:ssh.service", Program(ProgramKind.OWNER, "unit:ssh.service")),
        ("'container:a b'", Program(ProgramKind.OWNER, "container:a b")),
    ],
)
def test_parse_and_format_program(text: str, program: Program) -> None:
    assert parse_program(split_words(text)[0]) == program
    assert parse_program(split_words(format_program(program))[0]) == program


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("unit:ssh", "unit:ssh.service"),
        ("unit:getty@tty1", "unit:getty@tty1.service"),
        ("unit:a.b", "unit:a.b.service"),
        ("unit:session-3.scope", "unit:session-3.scope"),
        ("unit:user@1000.service/sync", "unit:user@1000.service/sync.service"),
        ("unit:user@1000/sync", "unit:user@1000.service/sync.service"),
        (f"container:{'0123456789abcdef' * 4}", "container:0123456789ab"),
        ("container:0123456789abc", "container:0123456789ab"),
        ("container:user@1000.service/0123456789abcdef", "container:user@1000.service/0123456789ab"),
        ("container:0123456789ab", "container:0123456789ab"),
        ("container:0123456789abcdeg", "container:0123456789abcdeg"),
        (f"container:{'0' * 65}", f"container:{'0' * 65}"),
        ("snap:a", "snap:a"),
    ],
)
def test_units_and_containers_are_taken_as_their_own_commands_take_them(written: str, meant: str) -> None:
    assert parse_program(split_words(written)[0]) == Program(ProgramKind.OWNER, meant)


@pytest.mark.parametrize("kind", ["unit", "container", "flatpak", "snap"])
def test_only_paths_have_patterns(kind: str) -> None:
    with pytest.raises(BadWord, match="only paths have patterns"):
        parse_program(split_words(f"{kind}:a*")[0])
    for quoted in (f"'{kind}:a*.service'", rf"{kind}:a\*.service"):
        assert parse_program(split_words(quoted)[0]) == Program(ProgramKind.OWNER, f"{kind}:a*.service")


def test_many_stars_are_two() -> None:
    assert parse_program(split_words("/a/*****")[0]).text == "/a/**"


@pytest.mark.parametrize(
    ("text", "proposed"),
    [("curl", "/usr/bin/curl"), *((text, "the whole path, from / on") for text in ("./curl", "bin/", "~/bin/curl"))],
)
def test_for_what_is_no_absolute_path_there_is_a_proposal(text: str, proposed: str) -> None:
    """For a relative path there is none, since another program may have that name in /usr/bin."""
    with pytest.raises(BadWord) as caught:
        parse_program(split_words(text)[0])
    assert caught.value.hint == f"write {proposed}, or - for any program"


@pytest.mark.parametrize(
    ("text", "args", "canonical"),
    [
        ("", None, []),
        ("-", None, []),
        ("()", (), ["()"]),
        ("'()'", ("()",), ["'()'"]),
        ("'-'", ("-",), ["'-'"]),
        ("''", ("",), ["''"]),
        ("-o - x", ("-o", "-", "x"), ["-o", "-", "x"]),
        ("-m http.server", ("-m", "http.server"), ["-m", "http.server"]),
    ],
)
def test_arguments_read_back_as_they_are_written(text: str, args: tuple[str, ...] | None, canonical: list[str]) -> None:
    assert parse_args(split_words(text)) == args
    assert format_args(args) == canonical


@pytest.mark.parametrize(
    ("text", "path", "args"),
    [
        ("/usr/bin/curl", "/usr/bin/curl", ()),
        ("/usr/bin/curl -A 'a b'", "/usr/bin/curl", ("-A", "a b")),
        ("'/opt/my prog' x", "/opt/my prog", ("x",)),
        ("/usr/bin/curl ()", "/usr/bin/curl", ()),
        ("/usr/bin/curl -", "/usr/bin/curl", ()),
        ("/usr/bin/curl '()'", "/usr/bin/curl", ("()",)),
        ("/usr/bin/curl '-'", "/usr/bin/curl", ("-",)),
        ("/opt/it's", "/opt/it's", ()),
        ("curl -s", "curl -s", ()),
        ("", "", ()),
        ("# x", "# x", ()),
    ],
)
def test_a_program_with_arguments_is_read_as_in_a_rule(text: str, path: str, args: tuple[str, ...]) -> None:
    assert split_program(text) == (path, args)
