"""The remote column: how each kind of remote is spelled."""

import re

from tinysnitch.core.form import Form, parser_of
from tinysnitch.core.network import format_network, parse_network
from tinysnitch.core.rule import ANY_REMOTE, Remote, RemoteKind
from tinysnitch.core.words import BadWord, Word, quote_word

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_LIST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_NUMBERS = re.compile(r"[0-9.*]+|[^/]*/.*|[0-9a-fA-F:.%]*:.*")  # meant as an address: no name is like that
_WORDS = {"localhost": Remote(RemoteKind.LOCALHOST), "lan": Remote(RemoteKind.LAN), "-": ANY_REMOTE, "*": ANY_REMOTE}


def _parse_word(word: Word) -> Remote | None:
    return _WORDS.get(word.text) if word.is_bare else None


def _parse_list(word: Word) -> Remote | None:
    if not (word.is_bare and word.text.startswith("@")):
        return None
    if not _LIST.fullmatch(word.text, 1):
        raise BadWord("not the name of a list", "a list is named by letters, digits, - _ and .")
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
    """A bare word that is like a name; quoted, any text is a name."""
    text = word.text.lower().rstrip(".")
    if word.is_bare:
        text = _to_ascii(text)
        if not _NAME.fullmatch(text) or text.rpartition(".")[2].isdigit():
            return None
    return Remote(RemoteKind.NAME, text) if text else None


def _to_ascii(name: str) -> str:
    """The name as DNS has it: bücher.example is asked for as xn--bcher-kva.example (RFC 3490)."""
    if name.isascii():
        return name
    try:
        return str(name.encode("idna"), "ascii").lower()
    except UnicodeError:
        raise BadWord("not a name", "its labels can't be written in DNS (RFC 3490)") from None


REMOTE_FORMS = (
    Form("-", "any remote", _parse_word),
    Form("localhost", "loopback and the machine's own addresses", _parse_word),
    Form("lan", "the networks that the machine is linked to, multicast and broadcast", _parse_word),
    Form("@resolvers", "the trusted DNS resolvers", _parse_list),
    Form("@NAME", "what the list `/etc/tinysnitch.d/lists/NAME` holds", _parse_list),
    Form("192.168.1.7", "an address, IPv4 or IPv6, whatever its name", _parse_network),
    Form("10.0.0.0/8", "a network, IPv4 or IPv6", _parse_network),
    Form("10.1.*.*", "a network, as 10.1.0.0/16", _parse_network),
    Form("*.example.com", "example.com and every name below it", _parse_domain),
    Form("example.com", "this name alone", _parse_name),
)


_parse_forms = parser_of(REMOTE_FORMS)


def parse_remote(word: Word) -> Remote:
    remote = _parse_forms(word)
    if remote is None:
        raise BadWord("not a name, address or network", "quote a name that holds other than letters, digits, - and .")
    return remote


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


def _format_name(name: str) -> str:
    """Quoted where the bare word would be something else."""
    is_plain = _NAME.fullmatch(name) and not name.rpartition(".")[2].isdigit() and name not in _WORDS
    if is_plain:
        return name
    quoted = quote_word(name)
    return quoted if quoted[0] in "'$" else f"'{quoted}'"
