"""The settings of the engine. Times in seconds, sizes in entries."""

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    timeout_s: float = 60.0  # an unanswered prompt denies after this
    is_learning: bool = False  # observe mode: what no rule decides is allowed and recorded
    first_prompt_id: int = 1  # higher than any of an earlier daemon: late answers to its questions match none of ours
    max_prompts: int = 1024  # open questions; beyond that the connection is denied, and counted
    max_prompts_per_port: int = 16  # of these, about inbound connections to one port of a program
    max_programs_per_user: int = 32  # of any one user but root, that open questions are about
    max_held_packets: int = 4096  # packets held in all
    max_held_per_port: int = 256  # of these, inbound to one port of a program
    max_held_per_flow: int = 16  # further packets of a held flow are dropped, and counted
    max_flows: int = 4096  # flows whose decision is kept for their further packets
    max_verdicts: int = 8192  # verdicts that the kernel remembers for us
    max_names: int = 16384  # addresses with names
    max_questions: int = 4096  # outstanding DNS questions
    max_dns_streams: int = 256  # TCP connections with resolvers; up to 50 kB each
    max_inspections: int = 256  # connections whose ClientHello is being put together; up to 80 kB each
    min_name_ttl_s: float = 300.0  # programs keep addresses longer than a short TTL says
