"""Who looks up names on this machine, and what they know already.

Names decide only if they come from a resolver that the machine is set up to trust. So the daemon asks here:

- resolv_conf.py: the resolvers that resolv.conf(5) names.
- name_services.py: which other services nsswitch.conf(5) lets programs ask, whose answers we do not see.
- hosts_file.py: `Hosts`, the names of addresses by hosts(5), for which no program asks a resolver.
- resolved_monitor.py: what systemd-resolved answers to any program, also from its cache and from encrypted DNS, heard
  on its monitor socket (varlink).

Each file reads or hears one source and decides nothing; core/dns makes names of it. Begin with resolv_conf.py.
"""
