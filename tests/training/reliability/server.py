"""Starts training processes by forking, so that torch is imported once; one JSON document a line in and out.

In: ``{"directory": …, "resume": …, "settings": {…}}`` for a run, or ``{"directory": …, "arguments": […]}`` for a command
line of genmod, whose messages go to ``stderr`` beside the directory. Out: ``{"pid": …}`` at once, then
``{"status": …}`` when the process has ended. The trained process appends the step of every checkpoint to
``saved`` beside the directory, when it is complete.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import genmod
from genmod.bundle.directory import ModelDirectory
from genmod.errors import GenmodError
from genmod.model.assembly import open_dataset


def train(directory, *, resume=False, settings=None):
    spec, _ = ModelDirectory(Path(directory)).read_spec()
    saved = os.open(os.path.join(os.path.dirname(directory), "saved"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event):
        if event.kind == "checkpoint":
            os.write(saved, f"{event.step}\n".encode())

    data = open_dataset(spec)
    model = genmod.load(directory, weights="last")
    genmod.train(
        model, data, directory=directory, resume=resume, device="cpu", on_event=note, **(settings or {})
    )


def command(arguments, directory):
    from genmod.cli import main

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(
        os.open(os.path.join(os.path.dirname(directory), "stderr"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2
    )
    main(arguments)


def child(asked):
    try:
        command(**asked) if "arguments" in asked else train(**asked)
        code = 0
    except SystemExit as error:
        code = error.code
    except KeyboardInterrupt as error:
        code = getattr(error, "exit_code", 130)
    except GenmodError as error:
        sys.stderr.write(f"{error}\n")
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def serve():
    unreaped = None
    for line in sys.stdin:
        asked = json.loads(line)
        # Until now its number could not be given to another process, which would then be killed instead.
        if unreaped is not None:
            os.waitpid(unreaped, 0)
        pid = os.fork()
        if pid == 0:
            os.close(0)
            child(asked)
        say(pid=pid)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        say(status=code)
        unreaped = pid


if __name__ == "__main__":
    # The first use of many things costs more than all later ones.
    warm = genmod.build(encoder="mlp", latent=2)
    genmod.train(warm, steps=2, device="cpu")
    say(ready=True)
    serve()
