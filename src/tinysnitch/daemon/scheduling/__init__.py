"""When work is done, and what becomes of work that fails. Nothing here knows what the work is.

`SingleTimer` does some work once, however often it is started; `Pace` and `Throttle` limit how often something is done
(timers.py). `follow` reads a file or folder at each change, for ever (follow.py). `Failures` counts and logs whatever
ends in an exception, so that the loop goes on (failures.py). `BoundedWriter` changes a file whose folder may not answer
(bounded_writer.py); work beside the loop in general is kernel/system/offload.py.

Timers use the running loop, and nothing ticks while none is started: an idle daemon does not wake up.

Begin with timers.py.
"""
