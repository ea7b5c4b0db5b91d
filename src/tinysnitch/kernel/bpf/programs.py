"""The door to the kernel's side: load it or adopt it, ask its maps, write its cache of verdicts.

Everything is pinned, and so stays in force while no daemon runs; only `remove` ends it. Not thread-safe.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import filterfalse, islice
from pathlib import Path

from msgspec.structs import replace

from tinysnitch.core.model.errors import SnitchError
from tinysnitch.core.model.flow import Direction, Flow, is_of_link
from tinysnitch.core.model.scope import Scope
from tinysnitch.core.model.verdict import Grain, Inspection, Verdict, VerdictKey
from tinysnitch.core.rules.rule import Rule
from tinysnitch.kernel.bpf import earlier_build, layout
from tinysnitch.kernel.bpf.images import Image, decode_image, encode_image
from tinysnitch.kernel.bpf.layout import (
    FlowEntry,
    FlowKey,
    Listener,
    ListenerKey,
    Owner,
    ProcessEntry,
    Sync,
    TraceEvent,
)
from tinysnitch.kernel.bpf.libbpf import BPF_NOEXIST, ObjectFile, Ring, opened_pin
from tinysnitch.kernel.bpf.maps import BpfMaps, BpfSettings
from tinysnitch.kernel.bpf.objects import LIST_OBJECT, LIST_PROGRAMS, object_path, read_digest
from tinysnitch.kernel.bpf.pins import PinFolder, list_folder, load_pins, opened_cgroup, remove_folder, take_folder
from tinysnitch.kernel.bpf.rule_uses import open_rule_uses
from tinysnitch.kernel.bpf.traffic import TrafficTables
from tinysnitch.kernel.netlink.addresses import read_addresses
from tinysnitch.kernel.system.clock import read_boot_ns

_DIRECTIONS = {Direction.OUTBOUND: layout.OUTBOUND, Direction.INBOUND: layout.INBOUND}
_GRAINS = {
    Grain.FILE: layout.GRAIN_FILE,
    Grain.EXEC: layout.GRAIN_EXEC,
    Grain.ARGS: layout.GRAIN_ARGS,
    Grain.LINEAGE: layout.GRAIN_LINEAGE,
}
_VERDICTS = {Verdict.ALLOW: layout.VERDICT_ALLOW, Verdict.DENY: layout.VERDICT_DENY}
_PROVISIONAL = {Inspection.NOTED: layout.VERDICT_ALLOW_NOTED, Inspection.GUARDED: layout.VERDICT_ALLOW_GUARDED}
STATISTICS = tuple(map(str.lower, layout.STATISTIC_NAMES[:-1]))  # the last is their number
_MOST_PROCESSES = 65536  # max_entries of `processes`
_WATCH_STATES = {Verdict.ALLOW: layout.WATCH_OVER, Verdict.DENY: layout.WATCH_CUT}


class BpfPrograms:
    """What is pinned in one folder."""

    def __init__(self, folder: PinFolder, *, was_adopted: bool) -> None:
        """Use `load`."""
        self.was_adopted = was_adopted
        self._folder = folder
        self._maps = BpfMaps(folder)
        self.settings = open_settings(folder)
        self.traffic = TrafficTables(folder, self.settings)
        self.uses = open_rule_uses(folder.map_path("rule_uses"))
        self._next_bootstrapped = layout.EXEC_ID_BOOTSTRAPPED + read_boot_ns()
        self._rings: dict[str, Ring] = {}  # that are read, by their names
        self._own: frozenset[bytes] | None = None  # addresses of this machine as the kernel's side has them

    @classmethod
    def load(cls, pin_dir: Path, cgroup: Path, netns_cookie: int, scope: Scope) -> "BpfPrograms":
        """Adopts what an earlier daemon pinned for the same purpose from the same objects; nothing of it is flushed."""
        folder = PinFolder(pin_dir / name_purpose(cgroup, netns_cookie, scope))
        with ExitStack() as undo:
            undo.callback(remove_folder, pin_dir)  # only if it is empty
            take_folder(pin_dir)
            was_adopted = folder.is_complete(scope)
            if not was_adopted:
                undo.callback(folder.remove)
                folder.remove()  # half a set, of a daemon that was killed while it loaded
                prepare = partial(initialize_settings, folder, netns_cookie, scope)
                load_pins(folder, cgroup, prepare, scope)
            programs = cls(folder, was_adopted=was_adopted)
            programs._note_own_addresses(read_addresses().own)
            programs.note_reader()
            programs._ring("questions")  # opened now, while its pin is there
            programs.settings.set_packet_limit(0)  # a killed daemon may have left a limit
            programs.settings.set_message_limit(0)
            undo.pop_all()
        return programs

    def close(self) -> None:
        """Close our descriptors. All that is pinned stays in force."""
        while self._rings:
            self._rings.popitem()[1].close()
        self.uses.close()
        self.traffic.close()
        self.settings.close()
        self._maps.close()

    def remove(self) -> None:
        """Detach and remove everything of this instance, also what earlier builds pinned."""
        self.close()
        self.remove_stale()
        self._folder.remove()
        remove_folder(self._folder.path.parent)

    def withdraw(self) -> None:
        """Undo `load`: what it made is removed. What it adopted stays, and so do the pins of other builds."""
        self.close()
        if not self.was_adopted:
            self._folder.remove()
            remove_folder(self._folder.path.parent)

    def remove_stale(self) -> None:
        """Remove the pins of other builds. Call it once netfilter's rules refer to our programs."""
        for path in list_folder(self._folder.path.parent):
            if path != self._folder.path:
                PinFolder(path).remove()

    def program_path(self, name: str) -> Path:
        """For `iptables -m bpf --object-pinned`: one of NETFILTER_PROGRAMS."""
        return self._folder.program_path(name)

    @property
    def maps_dir(self) -> Path:
        """Where the maps are pinned: for objects that share them."""
        return self._folder.map_path("")

    @property
    def generation(self) -> int:
        return self.settings.generation

    def set_generation(self, generation: int, own_addresses: frozenset[bytes] | None = None) -> None:
        """Makes all verdicts of other generations stale at once, even if it raises since addresses were not written."""
        self.settings.generation = generation
        self.settings.masks = 0
        if own_addresses is not None:
            self._note_own_addresses(own_addresses)

    def _note_own_addresses(self, addresses: frozenset[bytes]) -> None:
        """Write down which addresses are ours, before a verdict rests on that. Link-local ones are left out: on another
        link they may be another machine's. What was written in an earlier epoch does not count any more."""
        own = frozenset(filterfalse(is_of_link, addresses))
        if own == self._own:
            return
        epoch = (self.settings.own_epoch + 1) & 0xFFFFFFFF
        for address in own:
            self._maps.own_addresses.write(layout.OwnKey(address=address), epoch)
        self.settings.own_epoch = epoch
        self._own = own

    # Flows and verdicts

    def find_flow(self, flow: Flow) -> FlowEntry | None:
        return self._maps.flows.find(key_of(flow))

    def remember_flow(
        self,
        flow: Flow,
        verdict: Verdict,
        generation: int,
        expires_ns: int,
        *,
        exec_id: int = layout.EXEC_ID_UNKNOWN,
        watch: Inspection = Inspection.NONE,
        tied_to: int = 0,
        rule: Rule | None = None,
    ) -> bool:
        """Remember a verdict for one flow, with the socket that it was seen with. `tied_to`: for that interface alone.
        False: the kernel has no entry for it (any more), or as another program's. Then its packet is a miss again."""
        key = key_of(flow)
        found = self._maps.flows.find(key)
        if found is None or exec_id not in (layout.EXEC_ID_UNKNOWN, found.owner.exec_id):
            return False
        if exec_id != layout.EXEC_ID_UNKNOWN:  # an unknown program has no verdicts that this one would precede
            self.settings.set_flow_generation(generation)
        if tied_to:
            self.settings.set_ties()
        number = self._number_of(verdict, watch)
        judged = replace(
            found,
            expires_ns=expires_ns,
            generation=generation,
            verdict=number,
            interface=tied_to,
            rule=self.uses.index_of(rule),
        )
        return self._maps.flows.write(key, judged)

    def remember_owner(self, flow: Flow, owner: Owner) -> None:
        """Note the owner of a flow where BPF found none: its packet walks the chain again."""
        key = key_of(flow)
        found = self._maps.flows.find(key)
        if found is not None:
            self._maps.flows.write(key, replace(found, owner=owner))

    def translate_conversation(self, asked: Flow, answer: Flow) -> bool:
        """Let answers to `asked` come in as `answer`. False: nothing was asked, or it was too long ago."""
        key = conversation_key_of(asked)
        each = (table.find(key) for table in (self._maps.conversations, self._maps.crowded))
        found = next((known for known in each if known and _waits_for_answer(known)), None)
        if found is None:
            return False
        return self._maps.conversations.write(conversation_key_of(answer), replace(found, is_answered=0))

    def remember_verdict(
        self,
        key: VerdictKey,
        verdict: Verdict,
        generation: int,
        expires_ns: int,
        *,
        watch: Inspection = Inspection.NONE,
        rule: Rule | None = None,
    ) -> None:
        """`expires_ns` on the boot-time clock, 0: never. `rule`: that made the verdict."""
        number, index = self._number_of(verdict, watch), self.uses.index_of(rule)
        value = layout.VerdictValue(expires_ns=expires_ns, generation=generation, verdict=number, rule=index)
        self.settings.masks |= 1 << number_of_mask(key)
        self._maps.verdicts.write(verdict_key_of(key), value)

    def _number_of(self, verdict: Verdict, watch: Inspection) -> int:
        if watch is Inspection.NONE:
            return _VERDICTS[verdict]
        self.settings.set_watching()
        return _PROVISIONAL[watch]

    def end_watch(self, flow: Flow, cookie: int, verdict: Verdict) -> None:
        """What the flow sends goes on unread, or is refused, also what it has sent already. A denial is final."""
        key = layout.WatchKey(
            cookie=cookie, remote=flow.remote, local_port=flow.local_port, remote_port=flow.remote_port
        )
        if verdict is Verdict.DENY or self._maps.watched.find(key) != layout.Watch(state=layout.WATCH_CUT):
            self._maps.watched.write(key, layout.Watch(state=_WATCH_STATES[verdict]))

    def forget_verdicts(self, keys: Iterable[VerdictKey]) -> None:
        for key in keys:
            self._maps.verdicts.delete(verdict_key_of(key))

    # Who

    def find_image(self, exec_id: int) -> Image | None:
        image = self._maps.images.find(exec_id)
        return None if image is None else decode_image(image)

    def has_ended(self, exec_id: int) -> bool:
        """Whether no process runs the image any more."""
        found = self._maps.images.find(exec_id)
        return found is None or not found.users

    def find_process(self, pid: int) -> ProcessEntry | None:
        return self._maps.processes.find(pid)

    def list_processes(self) -> dict[int, int]:
        """The exec id of each process, by pid."""
        found = ((pid, self._maps.processes.find(pid)) for pid in islice(self._maps.processes.keys(), _MOST_PROCESSES))
        return {pid: process.exec_id for pid, process in found if process}

    def is_socket_open(self, cookie: int) -> bool:
        return self._maps.sockets.find(cookie) is not None

    def find_owner(self, cookie: int) -> Owner | None:
        """The owner of a socket, for a while after its release too."""
        found = self._maps.sockets.find(cookie)
        return found.owner if found else self._maps.released.find(cookie)

    def find_sender(self, cookie: int) -> Owner | None:
        """Like `find_owner`, but None for an owner that was given the socket and has not used it yet."""
        found = self._maps.sockets.find(cookie)
        if found is None:
            return self._maps.released.find(cookie)
        return None if found.is_given else found.owner

    # What was there before

    def add_image(self, image: Image) -> int:
        """Returns its new exec id, EXEC_ID_UNKNOWN where the table is full."""
        exec_id = self._next_bootstrapped
        self._next_bootstrapped += 1
        added = replace(image, exec_id=exec_id, flags=image.flags | layout.IMAGE_BOOTSTRAPPED, users=1)
        is_written = self._maps.images.write(exec_id, encode_image(added), BPF_NOEXIST)
        return exec_id if is_written else layout.EXEC_ID_UNKNOWN

    def add_process(self, pid: int, started_ns: int, exec_id: int) -> bool:
        """Note which image a process runs. False: BPF knows the process already, and the image is dropped again."""
        entry = ProcessEntry(exec_id=exec_id, started_ns=started_ns)
        is_new = self._maps.processes.write(pid, entry, BPF_NOEXIST)
        if not is_new:
            self._maps.images.delete(exec_id)
        return is_new

    def add_owner(self, cookie: int, owner: Owner, remote: bytes, remote_port: int) -> bool:
        """Note the owner of an older socket. A SYN that it sent was not judged, so what answers that one passes."""
        socket = layout.OwnedSocket(
            owner=owner, syn=layout.SYN_LET_GO, let_go_to=remote, let_go_port=remote_port, boundness=layout.BOUND
        )
        return self._maps.sockets.write(cookie, socket, BPF_NOEXIST)

    def take_conversations_over(self) -> None:
        """Copy another build's: its programs judge until netfilter's rules refer to ours. Sockets are added before."""
        if not self.was_adopted:
            beside = (path for path in list_folder(self._folder.path.parent) if path != self._folder.path)
            earlier_build.take_over(self._maps, beside)

    def withdraw_process(self, pid: int, exec_id: int) -> None:
        """Undo `add_process` for a process that had ended before it: no hook will."""
        found = self._maps.processes.find(pid)
        if found is not None and found.exec_id == exec_id:
            self._maps.processes.delete(pid)
            self._maps.images.delete(exec_id)

    # Ports

    def expect_all_listeners(self) -> None:
        """Before all listeners are added: forget that an earlier daemon had no room for some."""
        self.settings.set_lost_listeners(False)

    def add_listener(self, protocol: int, port: int, address: bytes, listener: Listener) -> bool:
        """Note that a socket takes a port, perhaps beside others. False: it was noted already.

        True: check that the socket is still open, and if not, call `withdraw_listener`.
        """
        key = ListenerKey(address=address, port=port, protocol=protocol)
        taken = Sync(kind=layout.SYNC_PORT, cookie=listener.cookie, owner=listener.owner, key=key)
        return bool(self._maps.sync.run(taken))

    def add_kernel_listeners(self) -> None:
        """Note the ports of the kernel's own sockets. Where the iterators cannot run, these stay unknown."""
        with suppress(SnitchError, OSError), closing(ObjectFile(object_path(LIST_OBJECT), self.maps_dir)) as listing:
            for name in LIST_PROGRAMS:
                with closing(listing.attach(name)) as link:
                    link.run_iterator()

    def withdraw_listener(self, cookie: int) -> None:
        """Undo `add_listener` for a socket that was closed before it: no hook will."""
        self._maps.sync.run(Sync(kind=layout.SYNC_END, cookie=cookie))

    def replace_owner(self, cookie: int, owner: Owner) -> None:
        """Note that another process uses the socket now."""
        self._maps.sync.run(Sync(kind=layout.SYNC_OWNER, cookie=cookie, owner=owner))

    def note_reader(self) -> None:
        """This process reads the queues: packets that leave in its context were only held, and not sent, by it."""
        self._maps.sync.run(Sync(kind=layout.SYNC_READER))

    # Counts and traces

    def read_statistics(self) -> dict[str, int]:
        """Sums over all CPUs since the load, and what this process itself found no room for."""
        maps = self._maps
        own = {
            "lost_images": maps.images.turned_away,
            "lost_processes": maps.processes.turned_away,
        }
        return {name: own.get(name, 0) + sum(maps.statistics.find_each(index)) for index, name in enumerate(STATISTICS)}

    def read_questions(self) -> list[layout.Asked]:
        """DNS questions that left since the last call; never waits."""
        return list(map(layout.Asked.unpack_from, self._ring("questions").consume()))

    @property
    def traces_fd(self) -> int:
        """Readable when there is something to consume. Only one process may read."""
        return self._ring("traces").fd

    def read_traces(self) -> list[TraceEvent]:
        """All that are there; never waits."""
        return list(map(TraceEvent.unpack_from, self._ring("traces").consume()))

    def _ring(self, name: str) -> Ring:
        if name not in self._rings:
            self._rings[name] = Ring(self._folder.map_path(name))
        return self._rings[name]


def name_purpose(cgroup: Path, netns_cookie: int, scope: Scope) -> str:
    """The folder's name. So a set is adopted only if it is of these objects, for this cgroup and network namespace."""
    with opened_cgroup(cgroup) as cgroup_fd:
        cgroup_id = os.fstat(cgroup_fd).st_ino
    purpose = f"{read_digest()} {cgroup_id} {netns_cookie} {scope.value}"
    return f"{earlier_build.LAYOUT}-{hashlib.sha256(purpose.encode()).hexdigest()[:16]}"


def open_settings(folder: PinFolder) -> BpfSettings:
    with opened_pin(folder.map_path("settings")) as map_fd:
        try:
            return BpfSettings(map_fd)
        except OSError as error:
            raise SnitchError(f"mapping the settings: {error.strerror}", "is the kernel older than 5.5?") from error


def initialize_settings(folder: PinFolder, netns_cookie: int, scope: Scope) -> None:
    settings = open_settings(folder)
    try:
        # Exec ids start at the boot-time clock, and grow more slowly than it: so none comes twice before a reboot.
        settings.initialize(
            next_exec_id=read_boot_ns(),
            netns_cookie=netns_cookie,
            is_scoped=scope.makes_cgroup,
            hash_key=os.urandom(16),
        )
    finally:
        settings.close()


def key_of(flow: Flow) -> FlowKey:
    return FlowKey(
        local=flow.local,
        remote=flow.remote,
        local_port=flow.local_port,
        remote_port=flow.remote_port,
        protocol=flow.protocol,
        direction=_DIRECTIONS[flow.direction],
    )


def conversation_key_of(flow: Flow) -> FlowKey:
    """Without a direction: it is the same for what is sent and for what answers."""
    return replace(key_of(flow), direction=0)


def verdict_key_of(key: VerdictKey) -> layout.VerdictKey:
    return layout.VerdictKey(
        program=key.program,
        remote=key.remote or b"",
        uid=key.uid,
        port=key.port or 0,
        protocol=key.protocol,
        mask=_DIRECTIONS[key.direction] | number_of_mask(key) << 1,
    )


def number_of_mask(key: VerdictKey) -> int:
    any_remote = layout.MASK_ANY_REMOTE if key.remote is None else 0
    return _GRAINS[key.grain] | any_remote | (layout.MASK_ANY_PORT if key.port is None else 0)


def _waits_for_answer(conversation: layout.Conversation) -> bool:
    """Whether a program of this machine asked, so recently that an answer may still come."""
    patience_ns = layout.LULL_NS if conversation.is_answered else layout.ANSWER_NS
    is_recent = time.monotonic_ns() - conversation.seen_ns < patience_ns
    return conversation.begun_by == layout.OUTBOUND and is_recent
