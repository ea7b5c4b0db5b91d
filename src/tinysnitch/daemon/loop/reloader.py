"""Reads the rules again when one of their files may have changed, and the facts when one of them may have.

We watch files, the kernel tells of addresses and mounts, and the holders of lists, users and paths call
`refresh_facts`. When something cannot be read, what was read before stays in force, people are told, and it is tried
again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from tinysnitch.core.engine.events import DataLost
from tinysnitch.core.model.errors import SnitchError
from tinysnitch.daemon.loop.driver import Driver
from tinysnitch.daemon.rules.loader import RuleLoader
from tinysnitch.daemon.scheduling.follow import follow
from tinysnitch.daemon.scheduling.timers import SingleTimer, Throttle
from tinysnitch.kernel.netlink.addresses import AddressNews
from tinysnitch.kernel.proc.mounts import MountNews
from tinysnitch.kernel.resolver.hosts_file import HOSTS
from tinysnitch.kernel.resolver.name_services import NSSWITCH
from tinysnitch.kernel.resolver.resolv_conf import NM_UPSTREAMS, RESOLV_CONF, RESOLVED_UPSTREAMS, find_netns_files
from tinysnitch.kernel.system.offload import Offload
from tinysnitch.kernel.system.resources import give_back_memory
from tinysnitch.protocol.log_text import what_holds
from tinysnitch.store.file_watch import watch_file, watch_folder
from tinysnitch.store.whole_file import is_being_written

PASSWD = Path("/etc/passwd")
AGAIN_S = 5.0  # how soon rules or facts that could not be read are tried again
WRITTEN_S = 1.0  # how long the rules file may stay open for writing; a program may have it open all day
LOOKS, LOOK_EACH_S = 20, 1.0  # looks at addresses: so many at once, and one more each so many seconds
PATIENCE_S = 3.0  # when a start takes longer it is told what it waits for
WAITING = "the rules file waits until the lists and users that it names are known"
NO_RULES = "the rules, or what they name, could not be read"
NOT_READ = f"{NO_RULES} again"


_log = logging.getLogger(__name__)


class Reloader:
    def __init__(self, driver: Driver, loader: RuleLoader, news: AddressNews, mounts: MountNews) -> None:
        self._broken = "the rules file"  # the file that prompts were told of
        self.is_behind = False  # rules or facts could not be read again, and the old ones hold
        self._driver = driver
        self._loader = loader
        self._clients = driver.ports.clients
        self._news = news
        # Done once the rules file was read and all that it names is known; an exception when that failed.
        self._has_rules: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer = SingleTimer(self.reload_rules)
        self._looks = Throttle(self._look_again, burst=LOOKS, each_s=LOOK_EACH_S)
        self._mounts = mounts
        self._looks_at_mounts = Throttle(self._look_beside_mounts, burst=LOOKS, each_s=LOOK_EACH_S)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, rules: Path, lists: Path) -> None:
        """Load the rules and facts. Each file is watched before it is read, so that no edit is missed.

        Returns once the rules are in force. Raises SnitchError.
        """
        look = Offload().look
        for path in (RESOLV_CONF, *find_netns_files(), HOSTS, NSSWITCH, PASSWD):
            self._follow(partial(watch_file, path, look), self.refresh_facts)
        for folder in (RESOLVED_UPSTREAMS.parent, NM_UPSTREAMS.parent, lists):
            self._follow(partial(watch_folder, folder, look), self.refresh_facts)
        self._follow(partial(watch_file, rules, look), partial(self._file_changed, rules))
        if groups := self._loader.groups.folder:
            self._follow(partial(watch_folder, groups, look), self._groups_changed)
        patience = SingleTimer(self._tell_of_waiting)
        patience.start(PATIENCE_S)
        try:
            await self._has_rules
        finally:
            patience.cancel()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._news.fileno(), self._addresses_changed)
        loop.add_reader(self._mounts.fileno(), self._mounts_changed)

    def _tell_of_waiting(self) -> None:
        if self._loader.is_waiting:
            _log.warning("%s: until then nothing starts", WAITING)

    def stop(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._news.fileno())
        loop.remove_reader(self._mounts.fileno())
        for task in self._tasks:
            task.cancel()
        self._timer.cancel()
        self._looks.cancel()
        self._looks_at_mounts.cancel()

    def _file_changed(self, rules: Path) -> None:
        """Read the file, unless a program has it open for writing: half of a line may allow more than the whole. We are
        told when it is closed; and if it stays open it is read after WRITTEN_S."""
        if self._has_rules.done() and is_being_written(rules):
            self._timer.start(WRITTEN_S)
        else:
            self.reload_rules()

    def _groups_changed(self) -> None:
        """Read the groups if one has changed: their folder holds other files too, and our locks. Half of a group must
        not be read either, nor one be missed that an editor has renamed away for a moment."""
        groups = self._loader.groups
        try:
            is_changed = groups.is_changed()
            must_wait = is_changed and self._has_rules.done() and groups.is_unsettled()
        except SnitchError:  # the folder cannot be read: that is told, and it is tried again
            is_changed, must_wait = True, False
        if must_wait:
            self._timer.start(WRITTEN_S)
        elif is_changed:
            self.reload_rules()

    def reload_rules(self) -> None:
        """Read the rules files. With errors in one people are told, and its rules in force stay."""
        is_done = self._attempt(self._read_rules)
        give_back_memory()
        if not is_done:
            self._fall_behind()
            self._fail_to_start()
            return
        self.is_behind = False
        if self._loader.is_unreadable:
            self._timer.start(AGAIN_S)
        if not self._loader.is_waiting and not self._has_rules.done():
            self._has_rules.set_result(None)

    def _fail_to_start(self) -> None:
        """Let a start fail: it has no earlier rules to go on with, and `start` would wait for ever."""
        if not self._has_rules.done():
            failures = self._driver.failures
            self._has_rules.set_exception(SnitchError(f"{NO_RULES}: {failures.last}", failures.hint))

    def refresh_facts(self) -> None:
        """Read the facts, since addresses, resolvers or lists may have changed; or the rules, if they waited for that.

        Before the first rules are loaded there is nothing to do: loading them reads the facts too.
        """
        if self._loader.is_waiting:
            self.reload_rules()
        elif self._has_rules.done() and not self._attempt(self._read_facts):
            self._fall_behind()

    def _attempt(self, read: Callable[[], None]) -> bool:
        """Read; whether that succeeded, and the engine handled the events without a failure."""
        failures = self._driver.failures
        before = failures.count
        return failures.attempt(read) and failures.count == before

    def _fall_behind(self) -> None:
        """Tell that reading failed, and try again by a timer: if descriptors or memory are short, no change of a file
        would tell when that is over."""
        self._loader.forget_facts()
        if not self.is_behind:
            self.is_behind = True
            asyncio.get_running_loop().call_soon(self._driver.feed, DataLost(NOT_READ, 1))
        self._clients.hold_notice(f"{NOT_READ}, the old ones hold", "the log of tinysnitchd tells why; it tries again")
        self._timer.start(AGAIN_S)

    def _read_rules(self) -> None:
        loader = self._loader
        self._driver.feed(*loader.read_rules(self._driver.engine.rules))
        self._driver.ports.attributor.forget()
        if loader.errors:
            first = loader.errors[0]
            self._broken, held = loader.find_broken(first)
            self._clients.hold_notice(f"{self._broken} did not load, {what_holds(held)}: {first}", first.hint)
        elif loader.is_waiting:
            hint = "`tinysnitch lists` shows the lists, `getent passwd NAME` asks for a user"
            self._broken = "the rules file"
            self._clients.hold_notice(f"{WAITING}, the old rules hold", hint)
        else:
            self._clients.lift_notice(f"{self._broken} loads again")

    def _read_facts(self) -> None:
        self._driver.feed(*self._loader.read_facts(self._driver.engine.rules))

    def _follow(self, watch: Callable[[], AsyncIterator[None]], read: Callable[[], None]) -> None:
        self._tasks.append(asyncio.create_task(follow(watch, read)))

    def _addresses_changed(self) -> None:
        """Look at the addresses at a limited pace: each change of `lan` makes all cached verdicts stale, and a machine
        of the link may announce one network after the other."""
        self._driver.failures.attempt(self._news.drain)
        self._looks.want()

    def _mounts_changed(self) -> None:
        """At a limited pace, too: with FUSE any user can mount."""
        self._mounts.drain()
        self._looks_at_mounts.want()

    def _look_beside_mounts(self) -> None:
        """Read the facts, and decide everything anew: another file may be at the path of a program, and verdicts of
        programs are remembered for the path that they were started from."""
        self._loader.forget_facts()
        self._driver.ports.attributor.forget()
        self.refresh_facts()

    def _look_again(self) -> None:
        if not self._attempt(self._look_at_addresses):
            self._fall_behind()

    def _look_at_addresses(self) -> None:
        """Read the facts only if the addresses are other ones: each advertisement of a router brings us here, any
        machine of the link can send many, and most change nothing."""
        if self._loader.has_other_addresses():
            self.refresh_facts()
