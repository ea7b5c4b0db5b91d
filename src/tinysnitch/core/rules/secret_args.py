r"""What looks like a secret among the arguments of a program, and the arguments without it.

The shapes are those that many programs share; none is of a single program. A word that only looks like a secret costs
a shorter line, or a rule without arguments. A secret that looks like any other word (`-p hunter2`) is not found.

1. A value that has a telling name: `--password=X`, `--token X`, `{"secret": "X"}`, `?api_key=X`, `Cookie: X`.
2. A password behind a user: `https://user:X@host/`, `--user name:X`.
3. Words that no person makes up: `eyJ...` (JSON in base64, as in a JWT), and long ones of mixed characters. A path of a
   file, a UUID, and a sum that says so itself (`sha256:...`) are none.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from tinysnitch.core.model.errors import RuleSyntaxError
from tinysnitch.core.rules.rule import Rule
from tinysnitch.core.rules.rule_line import format_rule, parse_rule

_LEFT = 4  # characters of a secret that stay, to tell one from another; fewer of a short one
_LEFT_OF = 4  # at most one of so many

_NAME = (  # the end of a name: DB_PASSWORD, x-api-key. Shorter ones only as a word of their own: no compass, no bypass
    r"(?:passw(?:or)?d|passphrase|secret|token|credentials?|authorization|cookie|signature|(?:api|access|secret|private"
    r"|auth)[_-]?key|(?<![a-z])(?:pass|pwd|sig|jwt))"
)
_SCHEME = r"(?:(?:bearer|basic|token|apikey)\s{1,3})?+"
_VALUE = r"(?P<secret>[^\s\"'`,;&|()<>${}\[\]\\=:][^\s\"'`,;&|()<>${}\[\]\\]*+)"
_NAMED = (
    rf"^[\w-]{{0,40}}(?:authorization|cookie):\s?{_SCHEME}(?P<secret>.+)",  # all of such a header
    rf"{_NAME}[\"']?\s?[:=]\s?(?P<quote>[\"']){_SCHEME}(?P<secret>(?:\\.|(?!(?P=quote))[^\\])++)(?P=quote)",
    rf"{_NAME}[:=]{_SCHEME}{_VALUE}(?![(\[])",  # no call, and no index: `token=get()` is code
    rf"(?:^|[\"'])[\w-]{{0,40}}{_NAME}:\s?{_SCHEME}{_VALUE}",  # a header
    r"://[^\s/:@\"']*+:(?P<secret>[^\s/@\"'`]++)@",
    r"\bbearer\s{1,3}(?P<secret>[\w.~+/-]{12,}+=*+)",
    r"\b(?P<secret>eyJ[\w-]{8,}+(?:\.[\w-]++)*+)",
)
_SHAPES = tuple(re.compile(shape, re.IGNORECASE | re.DOTALL) for shape in _NAMED)
_WHOLE = re.compile(rf"--?[\w.-]*?{_NAME}=(?P<secret>.+)", re.IGNORECASE | re.DOTALL)
_OPTION = re.compile(rf"--?[\w.-]*?{_NAME}", re.IGNORECASE)  # whose value is the next word
_LOGIN = re.compile(r"-u|-U|--(?:proxy-)?user(?:name)?|--auth|--cred(?:ential)?s?|--login")  # ... is user:password
_USER = re.compile(r"(?!\d+:\d+$)[^:/]*:(?P<secret>(?!//).+)", re.DOTALL)  # numbers: a uid and a gid
# Where a secret is, rather than the secret itself; and words that mean yes, no, or that it was left out.
_REFERENCE = re.compile(
    r"(?:~|\.{0,2}/|[@$%{<-]|(?:file|env|fd):).*|(?:stdin|true|false|yes|no|none|null|auto|basic|prompt|ask)|[*x.]+|.*…",
    re.IGNORECASE | re.DOTALL,
)
_LONG_WORD = re.compile(
    r"(?P<path>(?<![^\s=:,;@\"'(])(?:file://|~|\.{1,2})?/(?!/)[^\s\"',;&|()]*+)"
    r"|(?P<secret>(?<![\w+/.-])[A-Za-z\d+/]{40,}+={0,2}(?![\w+/.-])|[\w+-]{20,}+={0,2})",
    re.ASCII,
)
_SUM = re.compile(r"(?:sha\d*|md5|blake\w{0,4}|digest|checksum|hash|integrity|rev|commit)[\"']?[:=@-]", re.IGNORECASE)
_UUID = re.compile(r"[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}", re.IGNORECASE)
_PLAIN_WORDS = re.compile(r"[A-Za-z\d]+")
_TURN = re.compile(r"(?=\d[A-Za-z]|[A-Za-z]\d|[a-z][A-Z])")  # where a person would rarely go on so
_MIXED, _ONE_CASE = (20, 0.22), (32, 0.12)  # a word's length, and turns for each of its characters


@lru_cache(maxsize=256)
def shorten_secrets(args: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments for a text that others may read: `-H 'Authorization: Bearer eyJh…'`."""
    return tuple(map(_shorten, ("", *args), args))


def has_secret(args: Sequence[str]) -> bool:
    return shorten_secrets(tuple(args)) != tuple(args)


def shorten_rule(line: str) -> str:
    """The rule's line, shortened in its arguments. A line that is no rule, of another version say, is as it is."""
    try:
        rule = parse_rule(line)
    except RuleSyntaxError:
        return line
    return format_rule(without_secrets(rule)) if rule.args else line


def without_secrets(rule: Rule) -> Rule:
    return replace(rule, args=shorten_secrets(rule.args)) if rule.args else rule


def _shorten(before: str, word: str) -> str:
    """The word, which stands behind the word `before`."""
    if _OPTION.fullmatch(before) and not _is_reference(word):
        return _cut(word)
    whole = _USER.fullmatch(word) if _LOGIN.fullmatch(before) else _WHOLE.fullmatch(word)
    if whole:
        return _cut_named(whole)
    for shape in _SHAPES:
        word = shape.sub(_cut_named, word)
    return _LONG_WORD.sub(_cut_random, word)


def _cut(secret: str) -> str:
    return secret[: min(_LEFT, len(secret) // _LEFT_OF)] + "…"


def _cut_named(found: re.Match[str]) -> str:
    secret = found["secret"]
    if _is_reference(secret):
        return found[0]
    start, end = found.start("secret") - found.start(), found.end("secret") - found.start()
    return found[0][:start] + _cut(secret) + found[0][end:]


def _is_reference(value: str) -> bool:
    return _REFERENCE.fullmatch(value) is not None and not is_random(value)


def _cut_random(found: re.Match[str]) -> str:
    word = found["secret"]
    is_sum = any(_SUM.finditer(found.string, max(0, found.start() - 12), found.start()))
    return found[0] if word is None or is_sum or not is_random(word) else _cut(word)


def is_random(word: str) -> bool:
    """Whether the word is long, and mixes letters with digits, and small letters with capitals, as no person would."""
    parts = _PLAIN_WORDS.findall(_UUID.sub("", word))
    letters = "".join(parts)
    if not any(map(str.isdigit, letters)):
        return False
    turns = sum(len(_TURN.findall(part)) for part in parts) / len(letters)
    is_mixed = any(map(str.islower, letters)) and any(map(str.isupper, letters))
    longest = max(map(len, parts))
    return (is_mixed and len(letters) >= _MIXED[0] and turns >= _MIXED[1]) or (
        longest >= _ONE_CASE[0] and turns >= _ONE_CASE[1]
    )
