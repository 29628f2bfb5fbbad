"""How samplers that are networks are fitted: by gradient steps, until codes held out get no more likely."""

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from genmod import FileError
from genmod.plugins.samplers._standard import Standard
from genmod.system import read_tensors, write_tensors

__all__ = ["fit_network", "rows_of", "split_held"]

_EVERY = 25
"""Steps between two evaluations on the codes held out."""
_PATIENCE = 12
"""Evaluations without a lower loss after which the fit ends."""
_KEPT = 100
"""Steps between two writings of the state."""


_HELD = 2**26
"""Most numbers of the codes that are held out."""


def rows_of(standard: Standard, codes: Tensor, context: Tensor | None, places: Tensor) -> Tensor:
    """Some codes in standard units with their contexts beside them, ``(n,) → (n, d + size)``; codes may be too many to copy."""
    y = standard(codes[places])
    return y if context is None else torch.cat([y, context[places].to(y)], 1)


def split_held(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Which codes are for fitting, and a tenth that is held out, ``(N, …) → (n,), (m,)``; all in both where there are few."""
    order = torch.randperm(len(codes))
    if len(codes) < 20:
        every = torch.arange(len(codes), device=codes.device)
        return every, every
    held = order[: len(codes) // 10][: max(1, _HELD // codes[0].numel())]
    return order[len(codes) // 10 :].to(codes.device), held.to(codes.device)


def fit_network(
    network: nn.Module,
    rest: Tensor,
    loss: Callable[[Tensor], Tensor],
    held_loss: Callable[[nn.Module], Tensor],
    *,
    steps: int,
    batch: int,
    lr: float,
    average: bool = False,
    folder: Path | None = None,
    on_step: Callable[[int, int], None] | None,
) -> None:
    """Minimise a loss with Adam and a cosine schedule; keep the weights whose loss of what is held out is least.

    Args:
        network: what is moved.
        rest: places of the codes for fitting, as :func:`split_held` gives them, ``(n,)``.
        loss: mean over the codes at some places, ``(b,) → ()``.
        held_loss: mean over the codes held out, of a network, always by the same random numbers, ``network → ()``.
        steps: most steps.
        batch: codes in each.
        lr: learning rate.
        average: look at running means of the weights, over about a hundred steps, and keep those.
        folder: where the state is saved, so that a fit that was stopped resumes bit for bit; None for nowhere.
        on_step: called with the number of steps that are done, and of all.
    """
    looked_at = copy.deepcopy(network) if average else network

    @torch.no_grad()
    def look() -> float:
        return float(held_loss(looked_at))

    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, least, looks, done = copy.deepcopy(looked_at), look(), 0, 0
    networks = {"now": network, "mean": looked_at, "best": best}
    file = None if folder is None else folder / "fit.safetensors"
    # A state that is damaged is none: the fit starts over.
    with suppress(FileError):
        if file is not None and file.exists():
            done, looks, least, rate = _read(file, networks, optimizer)
            optimizer.param_groups[0]["lr"] = rate
            schedule.load_state_dict({**schedule.state_dict(), "last_epoch": done, "_step_count": done + 1})
    for step in range(done + 1, steps + 1):
        chosen = torch.randint(len(rest), (min(batch, len(rest)),)).to(rest.device)
        optimizer.zero_grad()
        loss(rest[chosen]).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if average:
            with torch.no_grad():
                for mean, now in zip(looked_at.parameters(), network.parameters(), strict=True):
                    mean.lerp_(now, max(1 / step, 0.01))
        if on_step is not None:
            on_step(step, steps)
        if step % _EVERY and step != steps:
            continue
        looks += 1
        found = look()
        if found < least:
            best.load_state_dict(looked_at.state_dict())
            least, looks = found, 0
        if looks >= _PATIENCE:
            break
        if file is not None and step % _KEPT == 0:
            _write(file, networks, optimizer, (step, looks, least, optimizer.param_groups[0]["lr"]))
    network.load_state_dict(best.state_dict())


def _state(
    networks: Mapping[str, nn.Module], optimizer: torch.optim.Adam, numbers: Sequence[float]
) -> dict[str, Tensor]:
    """All that a fit changes: weights, the optimizer's moments, numbers, and the state of the generator."""
    found = {
        f"{name}.{key}": value for name, each in networks.items() for key, value in each.state_dict().items()
    }
    for i, parameter in enumerate(networks["now"].parameters()):
        empty = {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
        moments = optimizer.state.get(parameter, empty)
        found |= {f"optimizer.{i}.{key}": moments[key] for key in empty}
    return found | {
        "numbers": torch.tensor(numbers, dtype=torch.float64, device="cpu"),
        "random": torch.get_rng_state(),
    }


def _write(
    file: Path, networks: Mapping[str, nn.Module], optimizer: torch.optim.Adam, numbers: Sequence[float]
) -> None:
    write_tensors(file, _state(networks, optimizer, numbers))


def _read(
    file: Path, networks: Mapping[str, nn.Module], optimizer: torch.optim.Adam
) -> tuple[int, int, float, float]:
    """Bring everything to a state that was written, and give its numbers."""
    found = read_tensors(file, _state(networks, optimizer, [0.0] * 4))
    for name, network in networks.items():
        network.load_state_dict({key: found[f"{name}.{key}"] for key in network.state_dict()})
    for i, parameter in enumerate(networks["now"].parameters()):
        optimizer.state[parameter] = {
            key: found[f"optimizer.{i}.{key}"].to("cpu" if key == "step" else parameter.device)
            for key in ("step", "exp_avg", "exp_avg_sq")
        }
    torch.set_rng_state(found["random"])
    step, looks, least, rate = found["numbers"].tolist()
    return int(step), int(looks), least, rate
