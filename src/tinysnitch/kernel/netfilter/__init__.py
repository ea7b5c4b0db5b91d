"""Our rules in netfilter: what they say, how they come into the kernel and out of it again.

`RuleWriter` (rules.py) writes all chains as text for iptables-restore: what is judged, in which order, and what a
denial does. It is pure. `Netfilter` (firewall.py) adds, compares and removes them, all or nothing for each table;
`NetfilterNews` hears when somebody changes rules.

- iptables.py runs the commands, and says what their failures mean.
- saved_rules.py compares our rules with what iptables-save prints.
- nf_tables.py lists and deletes over netlink what iptables cannot.

With BPF the rules ask our programs by `-m bpf --object-pinned`. Without BPF they ask conntrack, and a mark on the
packet is its verdict.
Begin with the docstring of rules.py.
"""
