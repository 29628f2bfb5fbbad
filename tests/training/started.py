"""A program in several processes: started together, all of them come to their end."""

import os
import subprocess
import sys

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def started(program, size, *words):
    """Run ``python PROGRAM RANK SIZE WORDS`` for each rank; none may fail."""
    running = [
        subprocess.Popen(
            [sys.executable, "-P", str(program), str(rank), str(size), *map(str, words)],
            env={**os.environ, **ENVIRONMENT},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    errors = [process.communicate()[1] for process in running]
    assert not any(process.returncode for process in running), "\n".join(errors)
