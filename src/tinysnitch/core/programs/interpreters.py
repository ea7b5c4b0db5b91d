"""The table of known interpreters: where they live and how each finds its script among its arguments.

An option that an entry does not name ends the search: then the process keeps the interpreter's name. Left out on
purpose are options that read code from elsewhere (`-c`, `-e`, `-m`, `--require`, `-javaagent:`, `-X pycache_prefix=`,
`-d auto_prepend_file=`) or from standard input (`-`, `-s`, Python's `-i` after the script), or change the directory.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache

import msgspec

# Only root writes here. Elsewhere a user can call any program `python3`, so there IsRoots has to look at the file.
_TRUSTED = ("/usr/", "/bin/")

IsRoots = Callable[[str], bool]  # whether root alone can change the file that was executed, and its path


class Interpreter(msgspec.Struct, frozen=True):
    name: str  # pattern of the executable's file name
    plain: str = r"(?!)"  # pattern of options that are one word
    with_value: str = r"(?!)"  # pattern of options that take the next word too, see _VALUE
    script_option: str | None = None  # the option whose value is the script
    ends_options: bool = True  # behind that script come no more options
    has_operand: bool = True  # the first word that is not an option is the script
    has_end: bool = True  # if it has an operand: the word behind `--` is the script

    def find_script(self, argv: Sequence[str]) -> int | None:
        """Index of the script in argv, None when it runs none."""
        position = 1
        while position < len(argv):
            step = self._classify(argv[position : position + 3])
            if step == 0:
                return self._find_operand(argv, position)
            position += step
        return None

    def _classify(self, words: Sequence[str]) -> int:
        """How many words the option takes that these begin with; 0: they begin with no option that is known."""
        if _pattern(self.plain).fullmatch(words[0]):
            return 1
        return 2 if _pattern(self.with_value).match("".join(f"{word}\0" for word in words)) else 0

    def _find_operand(self, argv: Sequence[str], position: int) -> int | None:
        word = argv[position]
        if word == self.script_option and not self.ends_options and _begins_with_option(argv[position + 2 :]):
            return None
        if word == self.script_option or (word == "--" and self.has_operand and self.has_end):
            return position + 1 if position + 1 < len(argv) and argv[position + 1] != "-" else None
        is_operand = self.has_operand and word[:1] not in ("", "-", "+", "@")
        return position if is_operand else None


def _begins_with_option(words: Sequence[str]) -> bool:
    """An empty word counts as one: it may have been cut."""
    return bool(words) and words[0][:1] in ("", "-") and words[0] != "--"


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


_VALUE = r"\0[^\0]*\0"  # any word behind the option; each word is matched with a NUL at its end
# A word without any spelling of `stdin`, the option that is `-s` in short (zshoptions(1), dash(1)). At most 64
# characters, since a word may have 128 KiB.
_NOT_STDIN = r"\0(?=[^\0]{0,64}\0)(?![^\0]*(?i:s_*t_*d_*i_*n))[^\0]*\0"
_PYTHON_FLAG = "[bBdEIOPqRsStuvx]"
# Values of `-X`: none that says where compiled code lies (`pycache_prefix`) or what to import first (`presite`).
_PYTHON_X = (
    r"(?:dev|faulthandler|importtime|int_max_str_digits|no_debug_ranges|perf|perf_jit|showrefcount|tracemalloc|utf8"
    r"|warn_default_encoding|frozen_modules|cpu_count|gil|disable[-_]remote[-_]debug|thread_inherit_context"
    r"|context_aware_warnings|lazy_imports)(?:=[a-z\d]{0,20})?"
)
_SHELL = "[abefhiklmnprtuvxBCEHPT]"
# No pattern for all options with a value: each version of node has new ones that load code (`--test-reporter=`).
_NODE_VALUED = (
    "conditions|title|disable-warning|dns-result-order|unhandled-rejections|max-http-header-size|inspect-port"
    "|debug-port|diagnostic-dir|redirect-warnings|report-(?:dir|directory|filename|signal)|heapsnapshot-signal"
    "|trace-event-(?:categories|file-pattern)|tls-(?:cipher-list|keylog)|disable-proto|icu-data-dir|v8-pool-size"
)
_NODE_WITH_EQUALS = (  # the first ones are V8's, in whose names people write `_` for `-`
    r"(?:initial|max|min|stack)[-_][\w-]+|inspect(?:-brk|-wait)?|watch-path|(?:cpu|heap)-prof-(?:dir|name|interval)"
    r"|experimental-default-type|(?:experimental|es-module)-specifier-resolution"
)
_RUBY_VALUED = "encoding|(?:ex|in)ternal-encoding|backtrace-limit|parser"
# Properties that name libraries or classes of one's own: java.security.properties by a provider for PKCS #11.
_JAVA_CODE = (
    r"java\.(?:ext|endorsed|home|library|class|system|security\.properties)|sun\.(?:boot|security\.(?:jgss|smartcardio))"
    r"|jdk\."
)
_JAVA_VALUED = "add-(?:opens|exports|reads|modules)|enable-native-access"
# Settings of php.ini. The values of most others are code, or name it; a line break would begin another setting.
_PHP_SETTING = (
    r"(?:memory_limit|max_execution_time|display_errors|display_startup_errors|error_reporting|log_errors|html_errors"
    r"|phar\.readonly|zend\.assertions|pcre\.jit|default_socket_timeout)(?:=[A-Za-z\d_-]{0,64})?"
)

INTERPRETERS = (
    Interpreter(  # python(1); Python/getopt.c; parse_command_line() of PyPy's app_main.py
        r"(?:python|pypy)(?:\d+(?:\.\d+)*t?)?",
        plain=rf"-{_PYTHON_FLAG}+|-{_PYTHON_FLAG}*(?:W.+|X{_PYTHON_X})",
        with_value=rf"-{_PYTHON_FLAG}*(?:W{_VALUE}|X\0{_PYTHON_X}\0)|--check-hash-based-pycs{_VALUE}",
    ),
    Interpreter(  # bash(1), dash(1): `o` and `O` in a cluster take the next word; `-i` reads the file of `--rcfile`
        r"bash|dash|sh|ash",
        plain=rf"[-+]{_SHELL}+|--(?:login|noediting|noprofile|norc|posix|restricted|verbose)",
        with_value=rf"[-+]{_SHELL}*[oO]{_SHELL}*{_NOT_STDIN}|--(?:rcfile|init-file){_VALUE}[^-+\0]",
    ),
    Interpreter(  # zsh(1), zshoptions(1)
        r"zsh(?:-\d+(?:\.\d+)*)?",
        plain=r"[-+][defilnrtuvx]+",
        with_value=rf"[-+][defilnrtuvx]*o{_NOT_STDIN}|--emulate\0(?:[ck]?sh|zsh)\0",
    ),
    Interpreter(  # perlrun(1): values stand in the same word as their option; `#!/usr/bin/perl -T -w` makes one word
        r"perl(?:\d+(?:\.\d+)*)?",
        plain=r"-[wWXtTUsc]+(?: +-[wWXtTUsc]+)*|-C[\dIOEioADSLa]*|-0(?:[0-7]*|[xX][\da-fA-F]+)|-l[0-7]*",
    ),
    Interpreter(  # ruby(1)
        r"ruby(?:\d+(?:\.\d+)*)?",
        plain=r"-[wvdU]+|-W[\w:-]*|-E.+|--(?:yjit|jit|verbose|debug)|--(?:en|dis)able[-=].+"
        rf"|--(?:{_RUBY_VALUED})=.+",
        with_value=rf"(?:-E|--(?:{_RUBY_VALUED}|(?:en|dis)able)){_VALUE}",
    ),
    Interpreter(  # node(1)
        r"node(?:js)?(?:-?\d+)?",
        plain=rf"--(?:{_NODE_VALUED}|{_NODE_WITH_EQUALS})=.*"
        r"|--(?:inspect|inspect-brk|expose-gc|no-warnings|no-deprecation|trace-warnings|trace-deprecation"
        r"|trace-uncaught|enable-source-maps|preserve-symlinks|throw-deprecation|use-openssl-ca|use-system-ca|watch)",
        with_value=rf"(?:-C|--(?:{_NODE_VALUED})){_VALUE}",
    ),
    Interpreter(  # php(1)
        r"php(?:\d+(?:\.\d+)*)?",
        plain=rf"-[neqCH]+|-d{_PHP_SETTING}",
        with_value=rf"-[neqCH]*d\0{_PHP_SETTING}\0",
        script_option="-f",
        ends_options=False,
        has_end=False,
    ),
    Interpreter(  # java(1): with -jar the class path is not used
        r"java",
        plain=r"-X(?:ms|mx|mn|ss)\w+|-XX:[+-]\w+|-XX:(?!On|Flags|VMOptions|CRaC|Shared|AOT|JVMCI)\w+=.*"
        rf"|-D(?!{_JAVA_CODE}).+"
        r"|-(?:ea|da|esa|dsa|server|client|showversion)|-(?:ea|da):.+|-(?:verbose|Xlog):.+|--enable-preview"
        rf"|--(?:{_JAVA_VALUED})=.+",
        with_value=rf"(?:-cp|-classpath|--(?:class-path|{_JAVA_VALUED})){_VALUE}",
        script_option="-jar",
        has_operand=False,
    ),
)


def nothing_is_roots(_path: str) -> bool:
    return False


def find_interpreter(
    executable: str, extra: Sequence[str] = (), is_roots: IsRoots = nothing_is_roots
) -> Interpreter | None:
    """The entry for this executable. `extra`: names, which count where the table's do, or paths, which always do."""
    name = executable.rpartition("/")[2]
    if executable in extra:
        return _find_by_name(name) or Interpreter(name, has_end=False)
    found = _find_by_name(name) or (Interpreter(name, has_end=False) if name in extra else None)
    return found if found and (executable.startswith(_TRUSTED) or is_roots(executable)) else None


def is_named_for_sure(executable: str, extra: Sequence[str] = ()) -> bool:
    """Whether the path alone tells whether `find_interpreter` finds an entry, and not who may change the file."""
    if executable in extra or executable.startswith(_TRUSTED):
        return True
    name = executable.rpartition("/")[2]
    return name not in extra and _find_by_name(name) is None


def has_entry(path: str) -> bool:
    """Whether the file has the name of an interpreter of the table, wherever it lies."""
    return _find_by_name(path.rpartition("/")[2]) is not None


def _find_by_name(name: str) -> Interpreter | None:
    return next((entry for entry in INTERPRETERS if _pattern(entry.name).fullmatch(name)), None)
