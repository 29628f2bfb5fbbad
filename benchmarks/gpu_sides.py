"""What takes turns in ``gpu.py``: runs of genmod, and a loop written by hand, plain or recorded as a CUDA graph."""

import torch
from loops import Vae, build

import genmod
from genmod import Batch, DataInfo, Dataset, TensorSplit
from genmod.training.precision import settled
from genmod.training.signals import StopSignals
from genmod.training.trainer import Run


class Sides(Dataset):
    """Colour pictures of one size; their content does not matter to the speed."""

    def __init__(self, side, examples):
        self.side = side
        self.x = torch.randint(0, 256, (examples, 3, side, side), dtype=torch.uint8)

    @property
    def info(self):
        return DataInfo((3, self.side, self.side), levels=256)

    def split(self, name):
        return TensorSplit(Batch(self.x if name == "train" else self.x[:8]))


def wait(options):
    if options.device == "cuda":
        torch.cuda.synchronize()


def run_of(model, data, options, batch, **settings):
    said = []
    tell = lambda event: said.append(event.text) if event.kind == "warning" else None  # noqa: E731
    chosen = genmod.TrainSettings(steps=10**9, batch_size=batch, device=options.device, **settings)
    chosen = settled(chosen, model, torch.device(options.device))
    run = Run(model, data, chosen, None, None, tell, StopSignals(), {})
    run.model.train()
    run.said = said
    return run


def of_genmod(name, data, options, **settings):
    run = run_of(build(name), data, options, options.batch, **settings)

    def block():
        for _ in range(options.steps):
            run.once()
        run.state.means.take()
        return run.said and "; ".join(run.said)

    return block


def of_hand(name, data, options, recorded=False):
    model = Vae(name).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True, capturable=recorded)
    x = data.x.to(options.device)
    batch, sums = x[: options.batch].float(), torch.zeros(3, device=options.device)

    def step():
        loss, distortion, rate = model(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        sums.add_(torch.stack([loss.detach(), distortion.detach().mean(), rate.detach().mean()]))

    if recorded:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()

    def block():
        order = torch.randperm(len(x), device=options.device)
        for place in range(options.steps):
            batch.copy_(x.index_select(0, order[place * options.batch : (place + 1) * options.batch]))
            graph.replay() if recorded else step()

    return block
