"""Runs commands in forks of a process that has everything imported, each with a limit of time and of memory.

Reads a JSON document a line from the standard input, and answers each with one.
"""

import json
import os
import resource
import select
import signal
import sys
import time
import traceback

_WAITS = 20
"""How many times as long as its time of the processor a command may take on a machine that is busy."""


def _limited(asked):
    """Be the command; never comes back."""
    code = 70
    try:
        os.setsid()
        os.chdir(asked["folder"])
        os.dup2(os.open(asked.get("input", os.devnull), os.O_RDONLY), 0)
        output = os.open(asked["output"], os.O_WRONLY | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if "writes" in asked:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (asked["writes"],) * 2)
        with open("/proc/self/statm", encoding="ascii") as file:
            there = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (there + asked["bytes"],) * 2)
        # Time of the processor, which does not depend on what else runs; a command that waits for ever uses none.
        resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"],) * 2)
        from genmod.cli import main

        main(asked["arguments"])
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main():
    import matplotlib.figure  # noqa: F401
    import torch

    import genmod.bundle.model
    import genmod.cli.app
    import genmod.figures
    import genmod.training.train  # noqa: F401

    torch.set_num_threads(1)
    say(ready=True)
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.monotonic()
        child = os.fork()
        if child == 0:
            _limited(asked)
        handle = os.pidfd_open(child)
        late = not select.select([handle], [], [], _WAITS * asked["seconds"])[0]
        if late:
            os.kill(child, signal.SIGKILL)
        os.close(handle)
        _, status, used = os.wait4(child, 0)
        code, seconds = os.waitstatus_to_exitcode(status), round(time.monotonic() - begun, 2)
        late = late or code in (-signal.SIGXCPU, -signal.SIGKILL)
        say(code=code, late=late, seconds=seconds, kilobytes=used.ru_maxrss)


if __name__ == "__main__":
    main()
