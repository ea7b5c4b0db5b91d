"""The table of known interpreters: where they live and how each finds its script among its arguments.

An option that no entry names ends the search without a script. Left out on purpose: options that read code from
elsewhere (`-c`, `-e`, `-m`, `--require`, `-javaagent:`, `-X pycache_prefix=`), from standard input (`-`, `-s`,
Python's `-i` after the script), or change the directory.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache

import msgspec

# Only root writes here. Elsewhere anyone can call a program of theirs `python3`, so there the file is looked at.
_TRUSTED = ("/usr/", "/bin/")

IsRoots = Callable[[str], bool]  # whether root alone can change the file that was executed, and its path


class Interpreter(msgspec.Struct, frozen=True):
    name: str  # pattern of the file's name
    plain: str = r"(?!)"  # pattern of options that are one word
    with_value: str = r"(?!)"  # pattern of options that take the next word too
    value: str = r".*"  # pattern of that word
    script_option: str | None = None  # the option whose value is the script
    has_operand: bool = True  # the first word that is not an option is the script
    has_end: bool = True  # and so is the word behind `--`

    def find_script(self, argv: Sequence[str]) -> int | None:
        """Index of the script in argv, None when it runs none."""
        position = 1
        while position < len(argv):
            step = self._classify(argv[position])
            if step == 0:
                return self._find_operand(argv, position)
            if step == 2 and not all(map(_pattern(self.value).fullmatch, argv[position + 1 : position + 2])):
                return None
            position += step
        return None

    def _classify(self, word: str) -> int:
        """How many words the option takes; 0: it ends the options."""
        if _pattern(self.plain).fullmatch(word):
            return 1
        return 2 if _pattern(self.with_value).fullmatch(word) else 0

    def _find_operand(self, argv: Sequence[str], position: int) -> int | None:
        word = argv[position]
        if word == self.script_option or (word == "--" and self.has_operand and self.has_end):
            return position + 1 if position + 1 < len(argv) and argv[position + 1] != "-" else None
        is_operand = self.has_operand and word[:1] not in ("", "-", "+", "@")
        return position if is_operand else None


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


SHELL = r"bash|busybox|csh|dash|elvish|fish|ksh(?:93)?|mksh|nu|sh|tcsh|xonsh|zsh"  # of the file's name
PYTHON = r"python(?:\d+(?:\.\d+)*t?)?"
# No name of the option that `-s` is: zshoptions(1), dash(1). Names are short: one of 128 KiB would be looked through.
_NOT_STDIN = r"(?=.{0,64}\Z)(?!.*(?i:s_*t_*d_*i_*n)).*"
_SHELL = "[abefhiklmnprtuvxBCEHPT]"
# node takes `_` for `-` in the names of its options. So many letters at most: to look for a word at each place of one
# that has 128 KiB would take a minute.
_NODE_NAME = r"[\w-]{0,64}"
_NODE_CODE = (
    rf"require|import|(?:experimental[-_])?loader|eval|print|run|env[-_]{_NODE_NAME}|input[-_]type"
    rf"|{_NODE_NAME}(?:snapshot|config|policy){_NODE_NAME}"
)

INTERPRETERS = (
    Interpreter(  # python(1); Python/getopt.c
        PYTHON,
        plain=r"-[bBdEIOPqRsStuvx]+|-[bBdEIOPqRsStuvx]*W.+",
        with_value=r"-[bBdEIOPqRsStuvx]*W|--check-hash-based-pycs",
    ),
    Interpreter(  # bash(1), dash(1): `o` and `O` in a cluster take the next word
        r"bash|dash|sh|ash",
        plain=rf"[-+]{_SHELL}+|--(?:login|noediting|noprofile|norc|posix|restricted|verbose)",
        with_value=rf"[-+]{_SHELL}*[oO]{_SHELL}*",
        value=_NOT_STDIN,
    ),
    Interpreter(
        r"zsh(?:-\d+(?:\.\d+)*)?", plain=r"[-+][defilnrtuvx]+", with_value=r"[-+][defilnrtuvx]*o", value=_NOT_STDIN
    ),  # zshoptions(1)
    Interpreter(r"perl(?:\d+(?:\.\d+)*)?", plain=r"-[wWXtTUsc]+"),  # perlrun(1)
    Interpreter(  # ruby(1)
        r"ruby(?:\d+(?:\.\d+)*)?",
        plain=r"-[wvdU]+|-W[\w:-]*|-E.+|--(?:yjit|jit|verbose|debug)|--(?:en|dis)able[-=].+|--encoding=.+",
        with_value=r"-E|--encoding",
    ),
    Interpreter(  # node(1); V8's options take their value after `=` only
        r"node(?:js)?(?:-?\d+)?",
        plain=rf"--(?!(?:{_NODE_CODE})=)[\w-]{{1,64}}=.*|--(?:inspect|inspect-brk|expose-gc|no-warnings|no-deprecation"
        r"|trace-warnings|trace-deprecation|trace-uncaught|enable-source-maps|preserve-symlinks|throw-deprecation"
        r"|use-openssl-ca|use-system-ca|watch)",
        with_value=r"-C|--(?:conditions|title|disable-warning|dns-result-order|unhandled-rejections)",
    ),
    Interpreter(r"php(?:\d+(?:\.\d+)*)?", plain=r"-[neqCH]+", script_option="-f", has_end=False),  # php(1)
    Interpreter(  # java(1): with -jar the class path is not used
        r"java",
        plain=r"-X(?:ms|mx|mn|ss)\w+|-XX:[+-]\w+|-XX:(?!On|Flags|VMOptions|CRaC|Shared|AOT)\w+=.*|-D(?!java\.(?:ext|endorsed|home|library|class|system)|sun\.boot|jdk\.).+"
        r"|-(?:ea|da|esa|dsa|server|client|showversion)|-(?:ea|da):.+|-(?:verbose|Xlog):.+|--enable-preview"
        r"|--(?:add-opens|add-exports|add-reads|enable-native-access)=.+",
        with_value=r"-cp|-classpath|--class-path|--(?:add-opens|add-exports|add-reads|enable-native-access)",
        script_option="-jar",
        has_operand=False,
    ),
)


_VERSION = r"(?:-?\d+(?:\.\d+)*)?"
_ALIKE = (  # run anything as well, by arguments that nobody looks through here; the last ones other machines' programs
    rf"{SHELL}|(?:busy|toy)box[\w.-]*|deno|bun(?:\.exe)?|(?:lua|luajit|tclsh|wish|guile|ghc|octave-cli){_VERSION}"
    r"|(?:|[gm]|original-)awk|expect|R|julia|beam(?:\.smp)?|sbcl|clisp|ecl|racket|ocaml|ocamlrun|swipl|gjs|pwsh|dotnet"
    r"|mono(?:-sgen)?|wine(?:64)?(?:-preloader)?|qemu-\w+(?:-static)?|ld-(?:linux|musl)[\w.-]*"
)


def nothing_is_roots(_path: str) -> bool:
    return False


def find_interpreter(
    executable: str, extra: Sequence[str] = (), is_roots: IsRoots = nothing_is_roots
) -> Interpreter | None:
    """The entry for this executable. `extra` names are trusted where the table's are; extra paths everywhere."""
    name = executable.rpartition("/")[2]
    if executable in extra:
        return _find_by_name(name) or Interpreter(name, has_end=False)
    found = _find_by_name(name) or (Interpreter(name, has_end=False) if name in extra else None)
    return found if found and (executable.startswith(_TRUSTED) or is_roots(executable)) else None


def is_called_like_one(path: str) -> bool:
    """Whether the file's name is that of one which runs anything, wherever it lies."""
    name = path.rpartition("/")[2]
    return _find_by_name(name) is not None or _pattern(_ALIKE).fullmatch(name) is not None


def _find_by_name(name: str) -> Interpreter | None:
    return next((entry for entry in INTERPRETERS if _pattern(entry.name).fullmatch(name)), None)
