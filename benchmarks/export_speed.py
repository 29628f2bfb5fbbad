"""Sizes, times and speed of exported files: onnxruntime and torch.export beside torch, one thread each.

python benchmarks/export_speed.py
"""

import argparse
import tempfile
import time
from pathlib import Path

import onnxruntime
import torch

import genmod
from genmod.plugins.formats._program import Program

MODELS = {
    "vae, mlp, 8×8": {"encoder": "mlp", "latent": 16},
    "vae, conv, 8×8": {"encoder": "conv", "latent": 16},
    "vq-vae, 8×8": {"recipe": "vq-vae"},
}
PARTS = ("encode", "decode", "score")


def best(run, rounds):
    """The shortest time of a call, in milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    rounds, batch = vars(parser.parse_args()).values()
    torch.set_num_threads(1)
    print(
        "| model | part | weights and all, kB | to write, s | torch, ms | pt2, ms | onnxruntime, ms | difference |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, options in MODELS.items():
        model = genmod.build(data="digits", **options).eval()
        for part in PARTS:
            with tempfile.TemporaryDirectory() as place:
                start = time.perf_counter()
                done = genmod.export(model, {"name": "onnx", "part": part}, Path(place, "a.onnx"), check=True)
                took, size = time.perf_counter() - start, done.path.stat().st_size
                one = onnxruntime.SessionOptions()
                one.intra_op_num_threads = 1
                session = onnxruntime.InferenceSession(str(done.path), one)
                genmod.export(model, {"name": "pt2", "part": part}, Path(place, "a.pt2"))
                module = torch.export.load(Path(place, "a.pt2")).module()
            with torch.no_grad():
                program = Program(model, part, 1, False).eval()
                given = program.made_up(batch)
                tensors, arrays = tuple(given.values()), {key: x.numpy() for key, x in given.items()}
                times = [
                    best(lambda: program(*tensors), rounds),  # noqa: B023
                    best(lambda: module(*tensors), rounds),  # noqa: B023
                    best(lambda: session.run(None, arrays), rounds),  # noqa: B023
                ]
            most = max(done.differences.values())
            print(
                f"| {name} | {part} | {size / 1000:,.0f} | {took:.1f} | "
                + " | ".join(f"{each:.2f}" for each in times)
                + f" | {most:.0e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
