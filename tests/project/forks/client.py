"""Hands a command line to ``server.py``: ``client.py SOCKET ARGUMENT…``."""

import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    environ = "\0".join(f"{name}={value}" for name, value in os.environ.items())
    message = "\0\0".join([os.getcwd(), environ, "\0".join(sys.argv[2:])])
    socket.send_fds(connection, [message.encode()], [0, 1, 2])
    answer = connection.recv(16)
sys.exit(int(answer) if answer else 1)
