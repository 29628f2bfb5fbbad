"""Right formats: weights with more beside them, and those that are written alone."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from correct import right
from genmod import Format
from genmod.scaffold.templates.format import TemplateFormat


@right(always=True)
class WritesAlone(Format):
    """Sums of weights as text, which nobody can read back; UsageError."""

    example: ClassVar[Mapping[str, Any]] = {"encoder": {"name": "mlp", "hidden": [8]}, "latent": 2}
    reads = False

    def write(self, model, folder, training, seed):
        (folder / "below" / "it").mkdir(parents=True)
        sums = {name: float(t.double().sum()) for name, t in model.state_dict().items()}
        (folder / "below" / "it" / "sums.json").write_text(json.dumps(sums))
        return [f"{len(sums)} sums"]


@right()
class DrawsWithItsSeed(TemplateFormat):
    """A picture of noise that comes from the seed that it is given; UsageError."""

    def write(self, model, folder, training, seed):
        said = super().write(model, folder, training, seed)
        noise = torch.rand(5, generator=torch.Generator().manual_seed(seed))
        (folder / "parts.json").write_text(
            json.dumps({**json.loads((folder / "parts.json").read_text()), "noise": noise.tolist()})
        )
        return said
