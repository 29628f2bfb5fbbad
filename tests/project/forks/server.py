"""Runs ``genmod`` command lines in forks of a process that has imported torch: ``server.py SOCKET``."""

import os
import runpy
import signal
import socket
import sys

import sklearn.datasets  # noqa: F401 - what most commands import
import torch._dynamo  # noqa: F401
import torchvision  # noqa: F401


def serve(connection):
    """One command line: where, environment, arguments, standard streams; answers with the exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    folder, environ, arguments = (part.split("\0") for part in message.decode().split("\0\0"))
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    # The old ones remember where in the old files they were.
    sys.stdin, sys.stdout, sys.stderr = (
        open(stream, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
        for stream, mode in enumerate(("r", "w", "w"))
    )
    os.chdir(folder[0])
    os.environ.clear()
    os.environ.update(pair.split("=", 1) for pair in environ)
    sys.argv = ["genmod", *filter(None, arguments)]
    try:
        runpy.run_module("genmod", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(code).encode())
    os._exit(0)


def main(address):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            serve(connection)
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
