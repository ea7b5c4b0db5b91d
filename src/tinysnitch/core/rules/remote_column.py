"""The remote column: how each kind of remote is spelled."""

import re
from typing import assert_never

from tinysnitch.core.model.domain import MAX_NAME_BYTES, USUAL_NAME, is_numbered, normalize_name
from tinysnitch.core.model.errors import Malformed
from tinysnitch.core.rules.network import format_network, parse_network
from tinysnitch.core.rules.quoting import BadWord, Form, Word, parser_of
from tinysnitch.core.rules.rule import ANY_REMOTE, LAN, LOCALHOST, Remote, RemoteKind

LISTS_FOLDER = "/etc/tinysnitch.d/lists"
_PLAIN_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_LIST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_NUMBERS = re.compile(r"[0-9.*]+|[^/]*/.*|[0-9a-fA-F:.%]*:.*")  # meant as an address or network; no name is like this
_USUAL = re.compile(rf"(\*\.)?({USUAL_NAME})")  # most remotes
# An IPv4 address or network spelled as it is held: without a 0 in front of a number, a star, or /32.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_USUAL_V4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}(/(?:[12]?[0-9]|3[01]))?")
# A URL, or a name or address with a port or a path. With a single colon it is no IPv6 address.
_WITH_MORE = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://.*|(?:[^:/\[\]]+|\[[^\[\]]*\]):[0-9]+(?:/.*)?|(?=[^:/]*[A-Za-z])[^:/]+/.*", re.DOTALL
)
_WORDS = {"localhost": LOCALHOST, "lan": LAN, "-": ANY_REMOTE, "*": ANY_REMOTE}

_MEANT_AS_ANY = re.compile(r"--+|any|all", re.IGNORECASE)  # words of other programs; as names they would match nothing


def is_list_name(text: str) -> bool:
    """Whether a rule can name this list. Hidden files and editors' copies (`ads~`) are no lists."""
    return _LIST.fullmatch(text) is not None


def _parse_word(word: Word) -> Remote | None:
    """A word in capitals counts too, as names are the same in any case: `LAN` should not be a name."""
    return _WORDS.get(word.text.lower()) if word.is_bare else None


def _parse_list(word: Word) -> Remote | None:
    if not (word.is_bare and word.text.startswith("@")):
        return None
    if not is_list_name(word.text[1:]):
        raise BadWord(
            "not the name of a list",
            f"write @NAME for the file NAME in {LISTS_FOLDER}: letters, digits, - _ and .",
        )
    return Remote(RemoteKind.LIST, word.text[1:])


def _parse_domain(word: Word) -> Remote | None:
    if not word.pattern.startswith("*."):
        return None
    rest = Word(word.text[2:], word.column, word.is_bare, word.pattern[2:])
    name = _parse_name(rest)
    if name is None:
        raise BadWord("not a domain", "write *.example.com")
    return Remote(RemoteKind.DOMAIN, name.text)


def _parse_network(word: Word) -> Remote | None:
    if not (word.is_bare and _NUMBERS.fullmatch(word.text)):
        return None
    return Remote(RemoteKind.NETWORK, format_network(parse_network(word.text)))


def _parse_name(word: Word) -> Remote | None:
    """A quoted word is a name, even if the bare one would be something else: 'lan', '10.0.0.1'."""
    name = word.text.lower()
    if not _is_plain(name):
        try:
            name = normalize_name(word.text)
        except Malformed:
            return None
    if word.is_bare and is_numbered(name):
        return None
    return Remote(RemoteKind.NAME, name)


def _is_plain(name: str) -> bool:
    """Whether the name has its one spelling already, as nearly all have. That spares normalize_name."""
    return len(name) <= MAX_NAME_BYTES and _PLAIN_NAME.fullmatch(name) is not None


REMOTE_FORMS = (
    Form("-", "any remote", _parse_word, is_word=True),
    Form("localhost", "loopback and the machine's own addresses", _parse_word, is_word=True),
    Form(
        "lan",
        "the networks that the machine is on, whatever is link-local, multicast or broadcast, and 0.0.0.0",
        _parse_word,
        is_word=True,
    ),
    Form("@resolvers", "the trusted DNS resolvers", _parse_list, is_word=True),
    Form("@NAME", f"what the list `{LISTS_FOLDER}/NAME` holds", _parse_list),
    Form("192.168.1.7", "an address, IPv4 or IPv6, whatever its name", _parse_network),
    Form("10.0.0.0/8", "a network, IPv4 or IPv6", _parse_network),
    Form("10.1.*.*", "a network, as 10.1.0.0/16", _parse_network),
    Form("*.example.com", "example.com and every name below it", _parse_domain),
    Form("example.com", "this name alone", _parse_name),
)


_parse_forms = parser_of(REMOTE_FORMS)


def parse_remote(word: Word) -> Remote:
    """Raises BadWord."""
    if word.is_bare and (usual := _USUAL.fullmatch(word.text)) and len(word.text) <= MAX_NAME_BYTES:
        return Remote(RemoteKind.DOMAIN if usual[1] else RemoteKind.NAME, usual[2])
    if word.is_bare and (usual := _USUAL_V4.fullmatch(word.text)):
        if usual[1]:
            parse_network(word.text)  # raises BadWord if it has bits set behind its prefix
        return Remote(RemoteKind.NETWORK, word.text)
    if word.is_bare and _MEANT_AS_ANY.fullmatch(word.text):
        raise BadWord("not a remote", "did you mean '-'? in quotes it is a name")
    if word.text.startswith("/"):
        raise BadWord("a remote is not a path", "write the program behind the protocol")
    if _WITH_MORE.fullmatch(word.text):
        raise BadWord("more than a name or address", "write it alone: the port has its own column, a path has none")
    remote = _parse_forms(word)
    if remote is None:
        raise BadWord("not a name, address or network", _hint_at_remote(word.text))
    return remote


def _hint_at_remote(text: str) -> str:
    domain = text.lstrip("*.")
    if domain != text and _USUAL.fullmatch(domain):
        return f"did you mean *.{domain}?"
    if text.startswith("["):  # as the log writes it beside a port
        return "write an address without brackets"
    return "write a name, *.name, an address, a network, @list, localhost, lan, or - for any remote"


def format_remote(remote: Remote) -> str:
    match remote.kind:
        case RemoteKind.ANY:
            return "-"
        case RemoteKind.LOCALHOST | RemoteKind.LAN:
            return str(remote.kind.value)
        case RemoteKind.LIST:
            return "@" + remote.text
        case RemoteKind.NETWORK:
            return remote.text
        case RemoteKind.DOMAIN:
            return "*." + _format_name(remote.text)
        case RemoteKind.NAME:
            return _format_name(remote.text)
        case _:
            assert_never(remote.kind)


def _format_name(name: str) -> str:
    """The name, quoted if the bare word would be something else."""
    is_other = is_numbered(name) or name in _WORDS or _MEANT_AS_ANY.fullmatch(name)
    if _is_plain(name) and not is_other:
        return name
    return f"'{name}'"  # of printable ASCII without quotes, as every name is
