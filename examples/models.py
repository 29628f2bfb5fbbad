"""Write MODELS.md: the models of two other libraries, and of genmod's recipes, with the command that makes each.

    python examples/models.py

pythae (https://github.com/clementchadebec/benchmark_VAE) and PyTorch-VAE (https://github.com/AntixK/PyTorch-VAE) have a
class for each model; here each is a combination of components.
"""

import argparse
import shlex
import tomllib
from pathlib import Path

from genmod.registry.lookup import Registry

# Name in pythae, name in PyTorch-VAE, arguments of `genmod build`.
MODELS = [
    ("AE", "", "autoencoder"),
    ("VAE", "VanillaVAE", "vae"),
    ("BetaVAE", "BetaVAE (loss H)", "beta-vae"),
    ("DisentangledBetaVAE", "BetaVAE (loss B)", "burgess-beta-vae"),
    ("BetaTCVAE", "BetaTCVAE", "beta-tcvae"),
    ("FactorVAE", "FactorVAE", "factor-vae"),
    ("INFOVAE_MMD", "InfoVAE", "infovae"),
    ("WAE_MMD", "WAE_MMD", "wae-mmd"),
    ("", "SWAE", "swae"),
    ("", "DIPVAE", "dip-vae-i"),
    ("IWAE", "IWAE", "iwae"),
    ("MIWAE", "MIWAE", "miwae"),
    ("PIWAE", "", "piwae"),
    ("CIWAE", "", "ciwae"),
    ("VAE_LinNF", "", "planar-vae"),
    ("VAE_LinNF (radial)", "", "planar-vae -s posterior.kind=radial"),
    ("VAE_IAF", "", "iaf-vae"),
    ("VAMP", "VampVAE", "vamp-vae"),
    ("SVAE", "", "s-vae"),
    ("PoincareVAE", "", "pvae"),
    ("HVAE", "", "hvae"),
    ("", "HVAE", "hvae-2"),
    ("", "LVAE", "ladder-vae"),
    ("VQVAE", "VQVAE", "vq-vae"),
    ("HRQVAE", "", "rq-vae"),
    ("Adversarial_AE", "", "aae"),
    ("VAEGAN", "", "vae-gan"),
    ("MSSSIM_VAE", "MSSIMVAE", "ms-ssim-vae"),
    ("RAE_L2", "", "rae-l2"),
    ("RAE_GP", "", "rae-gp"),
    ("", "ConditionalVAE", "cvae"),
    ("", "CategoricalVAE", "categorical-vae"),
    ("", "JointVAE", "joint-vae"),
    ("", "GammaVAE", "vae --posterior gamma --prior gamma"),
    ("", "LogCoshVAE", "vae --decoder log-cosh"),
    ("", "DFCVAE", "vae --decoder perceptual"),
    ("", "TwoStageVAE", "two-stage-vae"),
]

# Name in pythae, how it is drawn from here, after `genmod train`.
SAMPLERS = [
    ("NormalSampler, and those of VAMP, SVAE, PoincareVAE", "vae", "genmod sample"),
    ("GaussianMixtureSampler", "vae", "genmod fit-sampler --sampler gmm && genmod sample"),
    (
        "MAFSampler, IAFSampler",
        "vae",
        "genmod fit-sampler --sampler flow -s sampler.kind=maf && genmod sample",
    ),
    ("TwoStageVAESampler", "vae", "genmod fit-sampler --sampler vae && genmod sample"),
    ("PixelCNNSampler", "vq-vae", "genmod sample"),
]

HEAD = """# Models, and the command that makes each

Made by [models.py](models.py) from the recipes that are there. Each command writes a model directory that `genmod train`
goes on with; any of its parts can be exchanged on the same line (`genmod build vq-vae --prior autoregressive`).

## Those of pythae and PyTorch-VAE

| pythae | PyTorch-VAE | here | paper |
|---|---|---|---|
"""


def recipes() -> dict[str, dict[str, str]]:
    """Summary and paper of each built-in recipe, by its name."""
    found = Registry(third_party=False).components("recipe")
    return {each.component.name: tomllib.loads(each.text()) for each in found}


def page() -> str:
    """The page as Markdown."""
    known = recipes()
    named = {shlex.split(command)[0] for *_, command in MODELS if " " not in command}
    lines = [
        f"| {pythae} | {other} | `genmod build {command}` | {paper(known[command]) if command in known else ''} |"
        for pythae, other, command in MODELS
    ]
    samplers = [
        f"| {name} | `genmod build {model} && genmod train && {line}` |" for name, model, line in SAMPLERS
    ]
    others = [
        f"| `genmod build {name}` | {table['summary']} | {paper(table)} |"
        for name, table in known.items()
        if name not in named
    ]
    return "\n".join(
        [
            HEAD.rstrip("\n"),
            *lines,
            "",
            "| sampler of pythae | here |\n|---|---|",
            *samplers,
            "",
            "## Those that neither has\n\n| here | what it is | paper |\n|---|---|---|",
            *others,
            "",
        ]
    )


def paper(table: dict[str, str]) -> str:
    """The paper, in a cell of a table."""
    return table.get("paper", "").replace("|", "\\|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("MODELS.md"))
    parser.parse_args().out.write_text(page(), encoding="utf-8")
