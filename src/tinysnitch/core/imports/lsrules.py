"""Little Snitch's .lsrules files: a group of rules as JSON.

The format is the chapter "The .lsrules file format" of Little Snitch's help (developer.obdev.at, versions 4 to 7); the
values of the keys also as the crate ls_rules (github.com/bluk/ls_rules, src/lib.rs) models them. Of two rules that
match, one of a high priority wins, then the more specific one, then the one that denies: but for the priority as here.
"""

import json
from ipaddress import ip_address, summarize_address_range
from typing import Any

from tinysnitch.core.imports.draft import Draft, NotSayable, name_word
from tinysnitch.core.model.errors import LineError
from tinysnitch.core.rules.quoting import quote_word

_DENIED = {
    "denied-remote-domains": "remote-domains",
    "denied-remote-hosts": "remote-hosts",
    "denied-remote-addresses": "remote-addresses",
}
_REMOTES: dict[str, list[str]] = {
    "any": [],
    "local-net": ["lan"],
    "dns-servers": ["@resolvers"],
    "multicast": ["224.0.0.0/4", "ff00::/8"],
    "broadcast": ["255.255.255.255"],
    "bonjour": ["224.0.0.251", "ff02::fb"],
}
_SUFFIX = {"outgoing": [""], "incoming": ["-src"], "both": ["", "-src"]}
_KNOWN = {"action", "process", "via", "remote", *_DENIED.values(), "direction", "priority", "disabled", "ports"}
_KNOWN |= {"protocol", "notes", "owner"}
_OF_NO_MATTER = {"creationDate", "modificationDate", "uid", "help", "origin"}
_HINT = "name a file that Little Snitch exported: it has `rules`, or `denied-remote-domains` and the like"


def parse_lsrules(file: str, text: str) -> list[Draft | tuple[str, str]]:
    """The rules of a file. What is switched off or cannot be said is its name and why. Raises LineError for what is no
    such file."""
    try:
        group = json.loads(text)
    except json.JSONDecodeError as error:
        raise LineError(file, error.lineno, error.colno, f"not JSON: {error.msg}", _HINT) from None
    except (ValueError, RecursionError):
        raise LineError(file, 0, 0, "not JSON", _HINT) from None
    if not isinstance(group, dict) or not {"rules", *_DENIED} & group.keys():
        raise LineError(file, 0, 0, "not a file of Little Snitch's rules", _HINT)
    rules = group.get("rules") or []
    if not isinstance(rules, list):
        raise LineError(file, 0, 0, "`rules` is no list", _HINT)
    found = [_draft_or_why(f"rule {number}", rule) for number, rule in enumerate(rules, 1)]
    for key, column in _DENIED.items():
        found += [
            _draft_or_why(key, {"action": "deny", "process": "any", column: each}) for each in _texts(group.get(key))
        ]
    return found


def _draft_or_why(number: str, rule: object) -> Draft | tuple[str, str]:
    name = number
    try:
        if not isinstance(rule, dict):
            raise NotSayable("it is no rule")
        name = _name_of(number, rule)
        return _draft(name, rule)
    except NotSayable as why:
        return name, str(why)


def _name_of(number: str, rule: dict[str, Any]) -> str:
    notes = rule.get("notes")
    return f"{number}: {notes}" if isinstance(notes, str) and notes.strip() else number


def _draft(name: str, rule: dict[str, Any]) -> Draft:
    if rule.get("disabled") is True:
        raise NotSayable("it is switched off")
    unknown = sorted(rule.keys() - _KNOWN - _OF_NO_MATTER)
    if unknown:
        raise NotSayable(f"the key {quote_word(str(unknown[0]))}")
    verdict = str(rule.get("action", "ask")).lower()
    if verdict not in ("allow", "deny", "ask"):
        raise NotSayable(f"the action {quote_word(verdict)}")
    draft = Draft(name=name, verdict=verdict, rank=0 if rule.get("priority") == "high" else 1)
    draft.programs = _programs(str(rule.get("process", "any")))
    if via := rule.get("via"):
        draft.qualifiers["parent"] = [_path(str(via))]
    _take_owner(rule.get("owner", "any"), draft)
    draft.remotes = _remotes(rule, draft)
    draft.ports = _ports(str(rule.get("ports", "any")))
    draft.protocols = _protocols(str(rule.get("protocol", "any")).lower(), str(rule.get("direction", "outgoing")))
    if rule.get("remote") == "bonjour" and not draft.ports:
        draft.ports = ["5353"]
    return draft


def _texts(value: object) -> list[str]:
    """A text, or a list of texts."""
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]


def _programs(process: str) -> list[str]:
    return [] if process.lower() == "any" else [_path(process)]


def _path(text: str) -> str:
    """A path; the star in one is any text within a folder, as here."""
    if not text.startswith("/"):
        raise NotSayable(f"the program {quote_word(text)}, which is no path")
    return "*".join(quote_word(piece) if piece else "" for piece in text.split("*"))


def _take_owner(owner: object, draft: Draft) -> None:
    """`me` is the user whose rules these were, on another machine."""
    if owner == "system":
        draft.qualifiers["user"] = ["root"]
    elif owner == "me":
        if draft.verdict == "allow":
            draft.remarks.append("there for one user: write user= to keep it so")
    elif owner != "any":
        raise NotSayable(f"the owner {quote_word(str(owner))}")


def _remotes(rule: dict[str, Any], draft: Draft) -> list[str]:
    given = [key for key in ("remote", "remote-hosts", "remote-domains", "remote-addresses") if rule.get(key)]
    if len(given) > 1:
        raise NotSayable(f"both {given[0]} and {given[1]}")
    if not given:
        return []
    value = rule[given[0]]
    match given[0]:
        case "remote-hosts":
            words = [name_word(each.strip()) for each in _texts(value)]
        case "remote-domains":
            words = [f"*.{each.strip()}" for each in _texts(value)]
        case "remote-addresses":
            words = [word for text in _texts(value) for each in text.split(",") for word in _addresses(each.strip())]
        case _:
            return _meant_remotes(str(value), draft)
    if not words:
        raise NotSayable(f"{given[0]} without any")
    return words


def _meant_remotes(remote: str, draft: Draft) -> list[str]:
    words = _REMOTES.get(remote.lower())
    if words is None:
        raise NotSayable(f"the remote {quote_word(remote)}")
    if remote == "broadcast":
        draft.remarks.append("the broadcast address of a network is in `lan`")
    return list(words)


def _addresses(text: str) -> list[str]:
    """An address, a network, or a range `10.0.0.1-10.0.0.9`."""
    first, dash, last = text.partition("-")
    if not dash:
        return [text]
    try:
        networks = list(summarize_address_range(ip_address(first.strip()), ip_address(last.strip())))
    except (ValueError, TypeError):
        raise NotSayable(f"the range {quote_word(text)}") from None
    return [str(network) for network in networks]


def _ports(text: str) -> list[str]:
    return [] if text.lower() == "any" else [part.strip() for part in text.split(",")]


def _protocols(protocol: str, direction: str) -> list[str]:
    suffixes = _SUFFIX.get(direction.lower())
    if suffixes is None:
        raise NotSayable(f"the direction {quote_word(direction)}")
    word = "" if protocol == "any" else protocol.replace("icmpv6", "icmp")
    return [word + suffix or "-" for suffix in suffixes]
