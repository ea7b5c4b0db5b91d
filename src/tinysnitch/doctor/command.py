"""`tinysnitch doctor`: looks at each part, prints what was found, and returns whether anything lacks."""

import os

import click

from tinysnitch.cli.options import examples, json_option, socket_option
from tinysnitch.doctor.finding import Finding, State
from tinysnitch.doctor.kernel_parts import find_kernel_parts
from tinysnitch.doctor.network_parts import find_network_parts
from tinysnitch.doctor.people_parts import find_people_parts
from tinysnitch.doctor.report import print_report
from tinysnitch.output.lines import print_entry


@click.command("doctor", epilog=examples("sudo tinysnitch doctor", "tinysnitch doctor --json"))
@socket_option
@json_option
def doctor_command(socket_path: str, as_json: bool) -> int:
    """Check each thing that tinysnitch needs on this machine, and say what follows if it lacks and what mends it.

    Changes nothing. As root it also tries whether the kernel takes the BPF programs and netfilter rules, in namespaces
    that end with it. Exit code 1 if something lacks.
    """
    findings = examine(socket_path)
    if as_json:
        for finding in findings:
            print_entry(finding)
    else:
        print_report(findings)
    return int(any(finding.state is State.LACKING for finding in findings))


def examine(socket_path: str) -> list[Finding]:
    is_root = os.geteuid() == 0
    return [
        *find_kernel_parts(is_root=is_root),
        *find_network_parts(is_root=is_root),
        *find_people_parts(socket_path, is_root=is_root),
    ]
