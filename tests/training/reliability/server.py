"""Starts training processes by forking, so that torch is imported once; one JSON document a line in and out.

In: ``{"directory": …, "resume": …, "settings": {…}}``. Out: ``{"pid": …}`` at once, then
``{"status": …}`` when the process has ended. The trained process appends the step of every checkpoint to
``saved`` in the directory, when it is complete.
"""

import json
import os
import sys
import traceback

import torch

import genmod
from genmod.assembly import open_dataset
from genmod.bundle import read_spec
from genmod.errors import GenmodError

torch.set_num_threads(1)


def train(directory, *, resume=False, settings=None):
    spec, _ = read_spec(directory)
    saved = os.open(os.path.join(directory, "..", "saved"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event):
        if event.kind == "checkpoint":
            os.write(saved, f"{event.step}\n".encode())

    data = open_dataset(spec)
    model = genmod.load(directory, weights="last")
    genmod.train(
        model, data, directory=directory, resume=resume, device="cpu", on_event=note, **(settings or {})
    )


def child(asked):
    try:
        train(**asked)
        code = 0
    except KeyboardInterrupt as error:
        code = getattr(error, "exit_code", 130)
    except GenmodError as error:
        print(f"{error}", file=sys.stderr)
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
        print(json.dumps({"pid": pid}), flush=True)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        print(json.dumps({"status": code}), flush=True)
        unreaped = pid


if __name__ == "__main__":
    # The first use of many things costs more than all later ones.
    warm = genmod.build(encoder="mlp", latent=2)
    genmod.train(warm, steps=2, device="cpu")
    print(json.dumps({"ready": True}), flush=True)
    serve()
