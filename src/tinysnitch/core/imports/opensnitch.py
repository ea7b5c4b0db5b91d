"""OpenSnitch's rules: one JSON file each, in /etc/opensnitchd/rules.

The format and what it means are daemon/rule/rule.go, operator.go, operator_lists.go and loader.go of
github.com/evilsocket/opensnitch (1.6 to 1.9, read at commit 999603e9). A rule has an operator; one of the type `list`
holds others, all of which must match. All rules are tried in the order of their names: the first that matches and
denies, or has precedence, decides; otherwise the last that allows. It judges what goes out, and nothing that comes in.
"""

import json
from collections.abc import Callable
from typing import Any

from tinysnitch.core.imports.draft import Draft, NotSayable, name_word
from tinysnitch.core.imports.patterns import host_words, path_words, plain_words
from tinysnitch.core.model.errors import LineError
from tinysnitch.core.programs.interpreters import has_entry
from tinysnitch.core.rules.quoting import quote_word

BEHIND = 1 << 30  # the rank of rules that decide only where none does at once
_VERDICTS = {"allow": "allow", "deny": "deny", "reject": "deny"}
_KERNEL = "Kernel connection"  # what it calls the program of what the kernel sends (daemon/procmon)
_ALIASES = {  # daemon/data/network_aliases.json, as it is installed
    "LAN": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1", "fc00::/7"),
    "MULTICAST": ("224.0.0.0/4", "ff00::/8"),
}
_CANNOT = {
    "process.id": "one process by its pid",
    "process.hash.md5": "a file by its MD5 sum: write sha256=",
    "process.hash.sha1": "a file by its SHA-1 sum: write sha256=",
    "lists.hash.md5": "a list of MD5 sums",
    "lists.domains_regexp": "a list of patterns",
    "source.ip": "an address of this machine",
    "source.port": "the port that a program sends from",
    "source.network": "an address of this machine",
    "iface.in": "the interface that something comes in by: it judges what goes out",
}
_HINT = "name the folder of OpenSnitch's rules, /etc/opensnitchd/rules: one JSON file a rule"


def parse_opensnitch(files: dict[str, str]) -> list[Draft | tuple[str, str]]:
    """The rules of a folder, by file name, in the order that they are tried in. What is switched off, has an end, or
    cannot be said is its name and why. Raises LineError for what is no rule of OpenSnitch."""
    found = sorted((_load(file, text) for file, text in files.items()), key=lambda rule: str(rule["name"]))
    return [_draft_or_why(rule, rank) for rank, rule in enumerate(found)]


def _load(file: str, text: str) -> dict[str, Any]:
    try:
        rule = json.loads(text)
    except json.JSONDecodeError as error:
        raise LineError(file, error.lineno, error.colno, f"not JSON: {error.msg}", _HINT) from None
    except (ValueError, RecursionError):
        raise LineError(file, 0, 0, "not JSON", _HINT) from None
    if not isinstance(rule, dict) or not isinstance(rule.get("operator"), dict):
        raise LineError(file, 0, 0, "not a rule of OpenSnitch: it has no operator", _HINT)
    return {"name": file.rpartition("/")[2].removesuffix(".json"), **rule}


def _draft_or_why(rule: dict[str, Any], rank: int) -> Draft | tuple[str, str]:
    name = str(rule["name"])
    try:
        if rule.get("enabled") is False:
            raise NotSayable("it is switched off")
        if rule.get("duration", "always") != "always":
            raise NotSayable(f"it is for a time: {quote_word(str(rule['duration']))}")
        verdict = _VERDICTS.get(str(rule.get("action")))
        if verdict is None:
            raise NotSayable(f"the action {quote_word(str(rule.get('action')))}")
        # What denies or has precedence decides at once: of two such rules the first. All others come behind.
        is_at_once = verdict == "deny" or rule.get("precedence") is True
        draft = Draft(name=name, verdict=verdict, rank=rank if is_at_once else BEHIND)
        for operator in _operators_of(rule["operator"]):
            _take(operator, draft)
        _tell_of_scripts(draft)
    except NotSayable as why:
        return name, str(why)
    return draft


def _operators_of(operator: object) -> list[dict[str, Any]]:
    """The operators that must all match. Versions before 1.6.2 have a list as text, in `data`."""
    if not isinstance(operator, dict):
        raise NotSayable("an operator that is none")
    if operator.get("type") != "list" and operator.get("operand") != "list":
        return [operator]
    within = operator.get("list") or operator.get("data")
    if isinstance(within, str):
        try:
            within = json.loads(within)
        except (ValueError, RecursionError):
            within = None
    if not isinstance(within, list) or not within:
        raise NotSayable("a list without operators")
    return [each for one in within for each in _operators_of(one)]


def _take(operator: dict[str, Any], draft: Draft) -> None:
    """Add what the operator says to the draft. Raises NotSayable."""
    kind, operand, data = (str(operator.get(key) or "") for key in ("type", "operand", "data"))
    if operand == "true":
        return
    if operand in _CANNOT or operand.startswith("process.env."):
        raise NotSayable(_CANNOT.get(operand, "a variable of the process's environment"))
    take = _TAKERS.get((kind, operand))
    if take is None:
        raise NotSayable(f"the operator {quote_word(kind)} on {quote_word(operand)}")
    if not data:
        raise NotSayable(f"{operand} that is empty")
    take(data, draft)


def _tell_of_scripts(draft: Draft) -> None:
    if draft.args is not None and not draft.programs:
        raise NotSayable("a command line without the path of its program")
    if any(has_entry(word) for word in draft.programs):
        draft.remarks.append("not for scripts, which go by their own path here")


def _once(column: list[str], words: list[str]) -> None:
    """Fill a column. Two operators on one column would have to match both."""
    if column:
        raise NotSayable("two conditions on the same column")
    column += words


def _take_path(data: str, draft: Draft) -> None:
    if data != _KERNEL and not data.startswith("/"):
        raise NotSayable(f"the program {quote_word(data)}, which is no path")
    _once(draft.programs, ["kernel" if data == _KERNEL else _literal(data)])


def _literal(path: str) -> str:
    """A path whose stars mean themselves."""
    return f"'{path}'" if "*" in path and "'" not in path else quote_word(path)


def _take_command(data: str, draft: Draft) -> None:
    if draft.args is not None:
        raise NotSayable("two conditions on the same column")
    draft.args = tuple(data.split(" ")[1:])
    draft.remarks.append("arguments with blanks in them must be quoted")


def _take_parent(data: str, draft: Draft) -> None:
    _once(draft.qualifiers.setdefault("parent", []), [quote_word(data)])


def _take_user(data: str, draft: Draft) -> None:
    _once(draft.qualifiers.setdefault("user", []), [quote_word(data)])


def _take_iface(data: str, draft: Draft) -> None:
    _once(draft.qualifiers.setdefault("iface", []), [quote_word(data)])


def _take_network(data: str, draft: Draft) -> None:
    _once(draft.remotes, list(_ALIASES.get(data, (data,))))
    if data in _ALIASES:
        draft.remarks.append(f"the networks of {data} as OpenSnitch installs it")


def _take_protocol(data: str, draft: Draft) -> None:
    """`tcp` is TCP over IPv4, and `tcp6` over IPv6 (daemon/netstat/parse.go)."""
    names = [data] if "|" not in data else data.split("|")
    for name in names:
        if name.removesuffix("6") not in ("tcp", "udp", "icmp"):
            raise NotSayable(f"the protocol {quote_word(name)}")
    if len({name.endswith("6") for name in names}) == 1:
        draft.remarks.append(f"also over {'IPv4' if names[0].endswith('6') else 'IPv6'}")
    _once(draft.protocols, list(dict.fromkeys(name.removesuffix("6") for name in names)))


def _take_list(data: str, draft: Draft) -> None:
    """Its lists are all files of a folder; ours are a file each."""
    name = data.rstrip("/").rpartition("/")[2] or "list"
    _once(draft.remotes, [f"@{name}"])
    draft.remarks.append(f"join the files of {data} in lists/{name}")


def _take_names(data: str, draft: Draft) -> None:
    _take_list(data, draft)
    draft.remarks.append("names below a listed one count too")


def _take_range(data: str, draft: Draft) -> None:
    _once(draft.ports, [data.replace(" ", "")])


_TAKERS: dict[tuple[str, str], Callable[[str, Draft], None]] = {
    ("simple", "process.path"): _take_path,
    ("regexp", "process.path"): lambda data, draft: _once(draft.programs, path_words(data, draft.remarks)),
    ("simple", "process.command"): _take_command,
    ("simple", "process.parent.path"): _take_parent,
    ("simple", "user.id"): _take_user,
    ("simple", "user.name"): _take_user,
    ("regexp", "user.id"): lambda data, draft: _once(
        draft.qualifiers.setdefault("user", []), plain_words(data, "users")
    ),
    ("simple", "dest.ip"): lambda data, draft: _once(draft.remotes, [data]),
    ("regexp", "dest.ip"): lambda data, draft: _once(draft.remotes, plain_words(data, "addresses")),
    ("network", "dest.network"): _take_network,
    ("simple", "dest.host"): lambda data, draft: _once(draft.remotes, [name_word(data)]),
    ("regexp", "dest.host"): lambda data, draft: _once(draft.remotes, host_words(data, draft.remarks)),
    ("simple", "dest.port"): lambda data, draft: _once(draft.ports, [data]),
    ("regexp", "dest.port"): lambda data, draft: _once(draft.ports, plain_words(data, "ports")),
    ("range", "dest.port"): _take_range,
    ("simple", "protocol"): _take_protocol,
    ("regexp", "protocol"): lambda data, draft: _take_protocol("|".join(plain_words(data, "protocols")), draft),
    ("simple", "iface.out"): _take_iface,
    ("lists", "lists.domains"): _take_names,
    ("lists", "lists.ips"): _take_list,
    ("lists", "lists.nets"): _take_list,
}
