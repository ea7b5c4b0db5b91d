"""What is shown of a connection: a sentence, who and where, and warnings. Every text is escaped here."""

from collections.abc import Iterator

import msgspec

from tinysnitch.core.model.connection import LINK_SOURCES, Connection
from tinysnitch.core.model.flow import Direction, format_address, format_protocol
from tinysnitch.core.model.past import Past
from tinysnitch.core.model.process import Attribution, AttributionSource, Process, ProgramFile, program_of
from tinysnitch.core.prompts.answer import args_of_rule, is_by_address, is_by_link, parent_of, refusal_to_remember
from tinysnitch.core.prompts.asking import is_address_given
from tinysnitch.core.prompts.choice import Choice, RemoteScope
from tinysnitch.core.prompts.prompt import Prompt
from tinysnitch.core.rules.port_column import find_service
from tinysnitch.core.rules.quoting import quote_word
from tinysnitch.core.rules.secret_args import shorten_secrets
from tinysnitch.view.escape import escape_text
from tinysnitch.view.lookup import NO_LOOKUP, Lookup
from tinysnitch.view.span import Line, Span, Weight, span_of, spans_of_name, spans_of_names, text_of


def present_title(connection: Connection) -> str:
    """The sentence as text."""
    return text_of(present_sentence(connection))


def present_sentence(connection: Connection) -> tuple[Span, ...]:
    """Program and remote in one sentence: `curl wants to reach shop.test`, or of a visitor `ssh visitor 10.0.0.9 wants
    to reach sshd`."""
    who = Span(_present_names(connection.attribution), weight=Weight.STRONG)
    where = present_remote(connection)
    if connection.asked_name:
        return who, Span(" wants to ask "), *where
    if connection.flow.direction is Direction.INBOUND:
        service = find_service(connection.flow.port)
        return Span(f"{service} visitor " if service else "visitor "), *where, Span(" wants to reach "), who
    return who, Span(" wants to reach "), *where


def present_remote(connection: Connection) -> tuple[Span, ...]:
    """The remote as a person knows it: `shop.test`; of a question to a DNS server also what is asked. A visitor whose
    name only others looked up is named by its address, as in the rule."""
    is_visitor = connection.flow.direction is Direction.INBOUND
    is_by_address = connection.asking.is_by_address if is_visitor else is_address_given(connection)
    name = None if is_by_address else connection.name
    where = spans_of_name(name or format_address(connection.flow.remote))
    return (*where, Span(" for "), *spans_of_name(connection.asked_name)) if connection.asked_name else where


def _present_names(attribution: Attribution) -> str:
    """The program's name. If it was started by a link of another name, that name, and behind it the file's own name,
    which the rule has."""
    own = present_program(attribution)
    other = attribution.process.started_as if attribution.process else None
    return f"{name_of_path(other)} ({own})" if other else own


def present_program(attribution: Attribution) -> str:
    """The program's own name; quoted when it holds blanks, so that it can't pass for a sentence."""
    if attribution.process is None:
        return "the kernel" if attribution.source is AttributionSource.KERNEL else "an unknown program"
    return name_of_path(attribution.process.program)


def name_of_path(path: str) -> str:
    name = path.rstrip("/").rpartition("/")[2] or path
    return escape_text(quote_word(name) if " " in name or not name else name)


def present_who(
    connection: Connection, choice: Choice, lookup: Lookup = NO_LOOKUP, *, is_full: bool = False
) -> tuple[Line, ...]:
    """The facts of the program, most telling first. Spans are covered if the rule of the choice names them. `is_full`:
    also show the digest, and secrets whole."""
    return tuple(_present_program(connection, choice, lookup, is_full=is_full))


def present_where(connection: Connection, choice: Choice) -> tuple[Line, ...]:
    """The facts of the remote."""
    return (*_present_remote(connection, choice), *_present_port(connection, choice))


def _present_program(connection: Connection, choice: Choice, lookup: Lookup, *, is_full: bool) -> Iterator[Line]:
    process = connection.attribution.process
    if process is None:
        yield Line("program", (Span(program_of(connection.attribution), is_covered=True),))
        return
    path = span_of(process.program, is_covered=True)
    yield Line("path", (path, Span(" (has ended)")) if lookup.has_ended(process) else (path,))
    if entry := lookup.find_entry(process):
        yield Line("known as", (span_of(entry.name),))
    if process.started_as:
        yield Line("started as", (span_of(process.started_as),))
    if process.args or not process.are_args_complete:
        # Secrets are shortened, since others may see the screen; but not where the arguments are what runs.
        is_whole = is_full or not connection.traits.is_its_file
        args = " ".join(map(quote_word, process.args if is_whole else shorten_secrets(process.args)))
        is_named = args_of_rule(connection, choice) is not None
        yield Line("arguments", (span_of(args + ("" if process.are_args_complete else " …"), is_named),))
    if process.run_by:
        yield Line("run by", (span_of(process.run_by),))
    yield from _present_file(process, lookup.find_file(process), is_full=is_full)
    if process.parents:
        yield Line("parents", tuple(_parent_spans(process.parents, parent_of(connection, choice))))
    user = lookup.find_user(process.uid)
    yield Line("user", (span_of(user or f"uid {process.uid}"),))
    if process.owners:
        yield Line("belongs to", (span_of(", ".join(process.owners)),))


def _parent_spans(parents: tuple[str, ...], named: str | None) -> Iterator[Span]:
    """The parents, nearest first. The nearest one with the path `named` is a covered span of its own."""
    texts = list(map(quote_word, parents))
    if named not in parents:
        yield span_of(", ".join(texts))
        return
    at = parents.index(named)
    yield span_of("".join(f"{text}, " for text in texts[:at]))
    yield span_of(texts[at], is_covered=True)
    yield span_of("".join(f", {text}" for text in texts[at + 1 :]))


def _present_file(process: Process, file: ProgramFile | None, *, is_full: bool) -> Iterator[Line]:
    """Package and digest. The digest is shown if no package owns the file, or the rule is being edited (`is_full`), and
    might get a `sha256=`."""
    if file is None:
        yield Line("package", (Span("…"),), is_pending=True)
        return
    if file.package is not None:
        yield Line("package", (span_of(file.package) if file.package else Span("none owns this file"),))
    digest = process.sha256 or file.sha256
    if digest and (is_full or not file.package):
        of = f" of {process.executable.rpartition('/')[2]}" if process.run_by else ""
        yield Line("sha256", (Span(digest), span_of(of)) if of else (Span(digest),))


def _present_remote(connection: Connection, choice: Choice) -> Iterator[Line]:
    has_address = is_by_address(connection, choice.remote)
    is_by_name = not has_address and not is_by_link(connection, choice.remote)
    if connection.name:
        yield Line("name", _name_spans(connection.name, choice.remote if is_by_name else RemoteScope.ANY))
    yield Line("address", (Span(format_address(connection.flow.remote), has_address),))
    if connection.aliases:
        yield Line("by way of", spans_of_names(connection.aliases))
    if connection.asked_name:
        yield Line("asks for", spans_of_name(connection.asked_name))
    if connection.other_names:
        yield Line("also named", spans_of_names(connection.other_names))


def _name_spans(name: str, scope: RemoteScope) -> tuple[Span, ...]:
    spans = spans_of_name(name, is_covered=scope is not RemoteScope.ANY)
    if scope is not RemoteScope.DOMAIN or len(spans) == 1:
        return spans
    below, domain = spans
    return msgspec.structs.replace(below, is_covered=False), domain


def _present_port(connection: Connection, choice: Choice) -> Iterator[Line]:
    flow = connection.flow
    protocol = format_protocol(flow.protocol)
    if flow.port:
        service = find_service(flow.port)
        named = f"{flow.port} {service}" if service else str(flow.port)
        yield Line("port", (Span(named, not choice.any_port), Span(", "), Span(protocol, is_covered=True)))
    else:
        yield Line("protocol", (Span(protocol, is_covered=True),))
    via = (span_of(f", on {connection.interface}"),) if connection.interface else ()
    yield Line("direction", (Span(flow.direction.value, is_covered=True), *via))


def present_warnings(connection: Connection) -> tuple[str, ...]:
    """What a careful person would want to know before answering, escaped."""
    refusal = refusal_to_remember(connection)
    return (*map(escape_text, _find_warnings(connection)), *((f"no answer lasts: {refusal}",) if refusal else ()))


def _find_warnings(connection: Connection) -> Iterator[str]:
    attribution = connection.attribution
    if attribution.process:
        yield from _warnings_of_process(attribution.process)
    if attribution.source is AttributionSource.PROCFS:
        yield "the program was looked up in /proc afterwards, and can have forged this"
    if connection.name and connection.name_source in LINK_SOURCES:
        yield f"any machine on this network can claim this name ({connection.name_source.value})"
    if connection.other_names and not connection.is_name_sure:
        yield "the name is a guess: other names have the same address"


def _warnings_of_process(process: Process) -> Iterator[str]:
    """The process's warnings. Incomplete arguments get a single one, which says what follows for the rule."""
    if process.are_args_complete:
        yield from process.warnings
        return
    own = [warning for warning in process.warnings if warning.startswith("arguments ")]
    yield from (warning for warning in process.warnings if warning not in own)
    yield f"{own[0] if own else 'the arguments were too long to capture'}: a rule can only be for any arguments"


def present_past(prompt: Prompt) -> tuple[Line, ...]:
    """What the history has of it: `first time; git did, 412 times`, or `denied 3 times before`. Nothing where nothing
    is known."""
    past = prompt.past
    if past is None:
        return ()
    return (Line("history", (*_tell_own(past), *_tell_other(past, prompt), *_tell_domain(past, prompt.connection))),)


def _tell_own(past: Past) -> Iterator[Span]:
    counts = (("allowed", past.allowed), ("denied", past.denied))
    told = ", ".join(f"{word} {_times(count)}" for word, count in counts if count)
    yield Span(f"{told} before" if told else "first time")


def _tell_domain(past: Past, connection: Connection) -> Iterator[Span]:
    """What was counted, where that is more than the name of the question."""
    if past.domain not in (connection.name, format_address(connection.flow.remote)):
        yield span_of(f" (all of {past.domain})")


def _tell_other(past: Past, prompt: Prompt) -> Iterator[Span]:
    """Another program that connected, where this one never did. One of the same name is told by its path."""
    is_outbound = prompt.connection.flow.direction is Direction.OUTBOUND
    if is_outbound and past.other is not None and not past.allowed:
        own, name = program_of(prompt.connection.attribution), name_of_path(past.other)
        who = escape_text(past.other) if name == name_of_path(own) else name
        yield Span(f"; {who} did, {_times(past.other_allowed)}")


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")
