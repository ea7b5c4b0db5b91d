"""Tries what only a try can tell: whether the kernel takes our BPF programs and netfilter rules.

In namespaces of its own: nothing is attached, and no packet comes by.
"""

from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from functools import partial

import msgspec

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.scope import Scope
from tinysnitch.daemon.instance import name_instance
from tinysnitch.kernel.bpf.libbpf import ObjectFile
from tinysnitch.kernel.bpf.objects import (
    LIST_OBJECT,
    PACKET_PROGRAMS,
    PINNED_OBJECTS,
    PROGRAMS,
    TRACE_OBJECT,
    object_path,
)
from tinysnitch.kernel.bpf.pins import MOUNT_POINT, PinFolder, mount_another_bpffs
from tinysnitch.kernel.netfilter.firewall import Netfilter
from tinysnitch.kernel.netfilter.iptables import check_match
from tinysnitch.kernel.nfqueue.queue import Queue
from tinysnitch.kernel.system.apart import run_apart

MATCHES = ("bpf", "conntrack")
_FREE_NUMBER = 1  # of a queue, in a network namespace that has none


class Problem(msgspec.Struct, frozen=True):
    text: str
    hint: str = ""


class Trial(msgspec.Struct, frozen=True):
    """None, or no entry: it works."""

    objects: dict[str, Problem]  # BPF objects that do not load
    matches: dict[str, Problem]
    queue: Problem | None
    rules: Problem | None
    lacks_security: bool


def try_all() -> Trial:
    """Raises SnitchError if nothing can be tried."""
    return msgspec.json.decode(run_apart(lambda: msgspec.json.encode(_try_all())), type=Trial)


def _try_all() -> Trial:
    with ExitStack() as loaded:
        pins = PinFolder(MOUNT_POINT / "doctor")
        objects = _load_all(pins, loaded)
        matches = {name: problem for name in MATCHES if (problem := _try(partial(check_match, name)))}
        queue = _try(lambda: Queue(_FREE_NUMBER).close())
        has_programs = not any(name in objects for name in PINNED_OBJECTS) and "bpf" not in matches
        instance = name_instance(0, Scope.MACHINE)
        netfilter = Netfilter(instance.label, instance.queues, pins.program_path if has_programs else None)
        rules = _try(netfilter.add)
        return Trial(objects, matches, queue, rules, lacks_security=rules is None and netfilter.lacks_security())


def _load_all(pins: PinFolder, loaded: ExitStack) -> dict[str, Problem]:
    """Load each object, with the maps that they share, and pin the programs that netfilter's rules refer to."""

    def load(name: str) -> None:
        made = loaded.enter_context(closing(ObjectFile(object_path(name), pins.map_path(""))))
        for program in PROGRAMS[name] if name in PINNED_OBJECTS else ():
            made.pin_program(program, pins.program_path(program))

    with suppress(SnitchError):  # then each object says so, too
        mount_another_bpffs()
        pins.create()
    names = (*PROGRAMS, LIST_OBJECT, TRACE_OBJECT, *PACKET_PROGRAMS)
    return {name: problem for name in names if (problem := _try(partial(load, name)))}


def _try(work: Callable[[], object]) -> Problem | None:
    try:
        work()
    except SnitchError as error:
        return Problem(str(error), error.hint)
    return None
