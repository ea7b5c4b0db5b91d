"""From DNS questions and answers to the names that addresses are believed to have.

`DnsTracker` (tracker.py) is the door: it takes the messages out of packets and says which addresses have another name
now. stream.py does the same for TCP, wire.py and message.py parse, untrusted.py reports queries to resolvers that are
not trusted where it matters.

A name is learned only from the answer to an outstanding question (`DnsQuestions`, questions.py), and only from a
trusted resolver. `Names` (names.py) holds what is believed of each address; belief.py says which of its names a
process means. link_names.py learns from mDNS and LLMNR, where any machine may answer: less is believed of that.

Begin with names.py: its six rules on top are the contract.
"""
