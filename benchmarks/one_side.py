"""What ``same_bits.py`` lets one of two commits do, in a process of its own, by public names alone.

``python one_side.py TASK FOLDER RECIPE...`` prints JSON: where genmod is, the versions on which bits depend, and what
was found for each recipe, whose model directory is ``FOLDER/RECIPE``.
"""

import hashlib
import json
import signal
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy
import torch

import genmod

STEPS, CHECKPOINT = 20, 7
"""Steps of a run; the step of the checkpoint at which it is interrupted, in the middle of an epoch of the digits."""


def digests(recipe, folder):
    """SHA-256 of name, dtype, shape and bytes of each tensor, of the weights of the last step and of the best."""
    found = {}
    for weights in ("last", "best"):
        for name, tensor in sorted(genmod.load(folder, weights=weights).state_dict().items()):
            head = f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode()
            content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            found[f"{weights} {name}"] = hashlib.sha256(head + content).hexdigest()
    return found


def train(recipe, folder, **more):
    """A run from beginning to end."""
    model = genmod.build(recipe, seed=0)
    genmod.train(model, directory=folder, steps=STEPS, seed=0, device="cpu", film_every=0, **more)
    return digests(recipe, folder)


def interrupt(recipe, folder):
    """A run that is sent SIGINT, as by Ctrl-C, after its first checkpoint of weights that were trained."""
    sent = []

    def stop(event):
        if event.kind == "checkpoint" and event.step and not sent:
            sent.append(event.step)
            signal.raise_signal(signal.SIGINT)

    try:
        train(recipe, folder, checkpoint_every=CHECKPOINT, on_event=stop)
    except KeyboardInterrupt:
        return {"interrupted after step": sent[0]}
    raise RuntimeError("the run was not interrupted")


def build(recipe, folder):
    """By the command, as it is installed; in this process, for it takes seconds to start."""
    (script,) = entry_points(group="console_scripts", name="genmod")
    sys.argv = ["genmod", "build", recipe, "-o", str(folder)]
    try:
        script.load()()
    except SystemExit as end:
        if end.code:
            raise


TASKS = {"build": build, "digests": digests, "train": train, "interrupt": interrupt}


def main(task, folder, *recipes):
    found = {}
    for recipe in recipes:
        try:
            found[recipe] = TASKS[task](recipe, Path(folder, recipe))
        except Exception as error:
            found[recipe] = {"error": f"{type(error).__name__}: {error}"}
    capability = torch.backends.cpu.get_cpu_capability()
    versions = {
        "python": sys.version,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "cpu": capability,
    }
    print(json.dumps({"where": genmod.__file__, "versions": versions, "found": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
