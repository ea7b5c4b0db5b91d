"""What one daemon judges: the machine, or one command. Whatever differs between the two is asked here, by name."""

from enum import Enum


class Scope(Enum):
    MACHINE = "machine"  # tinysnitchd: whoever uses this network namespace
    COMMAND = "command"  # `tinysnitch run`: one cgroup, beside any other daemon

    @property
    def makes_cgroup(self) -> bool:
        """Whether it judges a cgroup of its own making: of what comes in, only what is for a listener in there."""
        return self is Scope.COMMAND

    @property
    def makes_rules_file(self) -> bool:
        """Whether the rules file is made where there is none, and closed to readers."""
        return self is Scope.MACHINE

    @property
    def accepts_wrong_rules(self) -> bool:
        """Whether it starts on rules with errors: otherwise a command would be judged by no rule at all."""
        return self is Scope.MACHINE

    @property
    def takes_all_settings(self) -> bool:
        """Whether all of the settings file counts. For one command only what says how it is judged and asked about."""
        return self is Scope.MACHINE

    @property
    def finds_sockets(self) -> bool:
        """Whether sockets that are there at the start may be judged. A command has none yet."""
        return self is Scope.MACHINE

    @property
    def is_service(self) -> bool:
        """Whether systemd waits for it, and it warns of what would weaken it in the long run."""
        return self is Scope.MACHINE

    @property
    def has_successor(self) -> bool:
        """Whether another daemon may take over what it leaves: enforcement, and arguments that were read."""
        return self is Scope.MACHINE

    @property
    def programs_outlive_it(self) -> bool:
        """Whether those it judges go on after its end. A command's processes are ended with it."""
        return self is Scope.MACHINE

    @property
    def reads_behind_others(self) -> bool:
        """Whether DNS messages are read in a later table, where there is one: the machine's daemon reads them before,
        and of two readers in one table the second would learn no names."""
        return self is Scope.COMMAND
