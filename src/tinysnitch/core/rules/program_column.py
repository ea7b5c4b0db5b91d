"""The program column and the arguments behind it: how they are spelled."""

from difflib import get_close_matches
from typing import assert_never

from tinysnitch.core.programs.cgroup_owner import complete_owner
from tinysnitch.core.rules.path_pattern import literal_of, pattern_tokens
from tinysnitch.core.rules.quoting import BadWord, Form, Word, parser_of, quote_word, split_words, unknown_word
from tinysnitch.core.rules.rule import ANY_PROGRAM, Program, ProgramKind

_OWNER_KINDS = ("unit", "container", "flatpak", "snap")
_WORDS = {
    "-": ANY_PROGRAM,
    "kernel": Program(ProgramKind.KERNEL),
    "unknown": Program(ProgramKind.UNKNOWN),
}


def _parse_word(word: Word) -> Program | None:
    return _WORDS.get(word.text) if word.is_bare else None


def _parse_owner(word: Word) -> Program | None:
    kind, colon, name = word.text.partition(":")
    if not (colon and kind in _OWNER_KINDS):
        return None
    if not name:
        raise BadWord(f"{kind}: has no name behind it", f"write {kind}:NAME")
    if has_star(word):
        raise BadWord("only paths have patterns", f"write {kind}: with one whole name, in a rule for each")
    return Program(ProgramKind.OWNER, complete_owner(kind, name))


def _parse_path(word: Word) -> Program | None:
    if not word.text.startswith("/"):
        return None
    if has_star(word):
        return Program(ProgramKind.GLOB, "".join(pattern_tokens(word.pattern)))
    return Program(ProgramKind.PATH, word.text)


def has_star(word: Word) -> bool:
    """Whether a star stands in the word that is not quoted."""
    return "*" in word.pattern and any(token[0] == "*" for token in pattern_tokens(word.pattern))


PROGRAM_FORMS = (
    Form("-", "any program, including the kernel and unknown ones", _parse_word, is_word=True),
    Form("/usr/bin/curl", "the host's file at this path, or the one that a link there leads to", _parse_path),
    Form("/opt/*/bin/app", "`*` is any text within one folder", _parse_path),
    Form("/opt/app/**", "`**` is any text, folders too", _parse_path),
    Form("unit:ssh.service", "what a systemd unit runs; without a suffix it is a service", _parse_owner),
    Form(
        "container:NAME", "what a container runs: a name of LXC's or nspawn's, or an id (12 digits count)", _parse_owner
    ),
    Form("flatpak:ID", "what a flatpak runs", _parse_owner),
    Form("snap:NAME", "what a snap runs", _parse_owner),
    Form("kernel", "the kernel itself", _parse_word, is_word=True),
    Form("unknown", "whatever can't be attributed to a program", _parse_word, is_word=True),
)
_parse_forms = parser_of(PROGRAM_FORMS)


def parse_program(word: Word) -> Program:
    """Raises BadWord."""
    program = _parse_forms(word)
    if program is not None:
        return program
    problem = "a program is an absolute path"
    if get_close_matches(word.text[:64], _WORDS, n=1):
        raise unknown_word(problem, word.text, _WORDS)
    if "/" in word.text:  # ~/bin/x, $HOME/x: whose home that is depends on the reader
        raise BadWord(problem, "write the whole path, from / on, or - for any program")
    raise BadWord(problem, f"write {quote_word('/usr/bin/' + (word.text[:64] or 'NAME'))}, or - for any program")


def format_program(program: Program) -> str:
    match program.kind:
        case ProgramKind.ANY:
            return "-"
        case ProgramKind.KERNEL | ProgramKind.UNKNOWN:
            return str(program.kind.value)
        case ProgramKind.PATH | ProgramKind.OWNER:
            return quote_word(program.text)
        case ProgramKind.GLOB:
            return "".join(
                token if token[0] == "*" else quote_word(literal_of(token)) for token in pattern_tokens(program.text)
            )
        case _:
            assert_never(program.kind)


_NO_ARGS = "()"

ARGS_FORMS = (
    ("-", "any arguments, as when nothing is written"),
    (_NO_ARGS, "exactly none"),
    ("-m http.server", "exactly these"),
)


def parse_args(words: list[Word]) -> tuple[str, ...] | None:
    if len(words) == 1 and words[0].is_bare and words[0].text in ("-", _NO_ARGS):
        return None if words[0].text == "-" else ()
    return tuple(word.text for word in words) if words else None


def format_args(args: tuple[str, ...] | None) -> list[str]:
    if args is None:
        return []
    if args == ("-",):  # bare it would mean any arguments
        return ["'-'"]
    return [quote_word(arg) for arg in args] or [_NO_ARGS]


def split_program(text: str) -> tuple[str, tuple[str, ...]]:
    """A program's path and arguments out of a text as in a rule. A text that is not like that is a path as it stands.

    `-`, any arguments, becomes none, which is as good as any others.
    """
    try:
        path, *args = split_words(text)
    except ValueError:  # BadWord, or no word at all
        return text, ()
    return (path.text, parse_args(args) or ()) if path.text.startswith("/") else (text, ())
