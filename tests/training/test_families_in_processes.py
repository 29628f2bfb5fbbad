"""Two processes train the weights of one, of each family of structured latents, with sizes equal to a process's share."""

import pytest
import torch

from .several_processes import BATCH, trained

SHARE = BATCH // 2
"""Examples of a process; and codes, latents, columns, channels and units, so that no dimension is told by its size."""
HIDDEN = [SHARE]
MLP = {"name": "mlp", "hidden": HIDDEN}
MAPS = {"shape": [1, SHARE, SHARE], "encoder": {"name": "conv-map", "width": SHARE}, "network": "conv-map"}
CODES = {
    "latent": [SHARE, 4],
    "prior": {"name": "autoregressive", "hidden": HIDDEN},
}
LEVELS = {"name": "hierarchical", "hidden": HIDDEN}
WIDE = {"width": SHARE}
FAMILIES = {
    "vq": {**CODES, "posterior": {"name": "vq", "codes": SHARE, "decay": 0.9}},
    "vq by gradients": {**CODES, "posterior": {"name": "vq", "codes": SHARE, "codebook": "gradient"}},
    "vq maps": {
        **MAPS,
        "posterior": {"name": "vq", "codes": SHARE, "decay": 0.9},
        "prior": {"name": "pixelcnn", "channels": SHARE, "layers": 1},
        "latent": SHARE,
    },
    "residual-vq": {**CODES, "posterior": {"name": "residual-vq", "codes": SHARE, "levels": 2}},
    "fsq": {**CODES, "posterior": {"name": "fsq", "levels": [3, 2, 2, 2]}},
    "lfq": {**CODES, "posterior": "lfq"},
    "levels": {"latent": 2 * SHARE, "posterior": LEVELS, "prior": LEVELS},
    "ladder": {"latent": 2 * SHARE, "posterior": {**LEVELS, "ladder": True}, "prior": LEVELS},
    "top-down": {
        "shape": [1, SHARE, SHARE],
        "latent": 2,
        "encoder": {"name": "pyramid", **WIDE},
        "posterior": {"name": "top-down", **WIDE},
        "prior": {"name": "top-down", **WIDE},
        "network": "conv-up",
    },
    "frozen": {
        **CODES,
        "posterior": {"name": "vq", "codes": SHARE, "decay": 0.9},
        "train": {"freeze": ["encoder", "posterior"], "ema": 0.9},
    },
    "hmc": {"latent": SHARE, "posterior": {"name": "hmc", "steps": 2}, "divergence": "kl-mc"},
    "semi-amortised": {"latent": SHARE, "posterior": "semi-amortised"},
}


@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(tmp_path):
    """In double precision, so that rounding hides nothing. Critics, rhvae and flow-matching are tested beside these."""
    models = {
        name: {"encoder": MLP, "network": MLP, "columns": SHARE, "double": True, **parts}
        for name, parts in FAMILIES.items()
    }
    weights = trained(tmp_path, models, (1, 2), steps=12)
    apart = {}
    for name in models:
        assert not isinstance(weights[1][name], str), weights[1][name]
        one, two = (torch.tensor(weights[size][name], dtype=torch.float64) for size in (1, 2))
        assert one.isfinite().all(), name
        apart[name] = float((one - two).abs().max())
    assert {name: most for name, most in apart.items() if not most < 1e-6} == {}
