"""Kinds of components by other names that people give them."""

from collections.abc import Collection

from genmod.options.values import closest

__all__ = ["a_kind", "kind_called", "kind_meant", "kinds_hint"]

_CALLED = {
    "decoder": "likelihood observation observations emission output p(x|z) px reconstruction",
    "objective": "loss losses criterion bound elbo estimator",
    "divergence": "kl kld regularizer regulariser regularization penalty rate distance",
    "posterior": "q inference variational guide q(z|x) qz approximation bottleneck quantizer quantiser",
    "prior": "p p(z) pz",
    "encoder": "backbone recognition embedder",
    "network": "generator net layers mlp architecture decoder-network",
    "dataset": "data dataloader loader datamodule datasets",
    "critic": "discriminator adversary gan",
    "sampler": "sampling latent-sampler density-estimator",
    "metric": "score evaluation evaluator measure",
    "features": "feature feature-extractor extractor embedding",
    "tracker": "logger logging callback tracking",
    "format": "exporter export checkpoint",
    "recipe": "config preset experiment",
    "reproduction": "replication benchmark",
    "model": "vae flow module",
}


def a_kind(kind: str) -> str:
    """A kind with its article, for a sentence.

    Example:
        >>> a_kind("encoder"), a_kind("prior")
        ('an encoder', 'a prior')
    """
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def kind_meant(word: str, kinds: Collection[str]) -> str:
    """The kind that somebody means who calls it otherwise, or misspells it; nothing where it is none.

    Args:
        word: what was typed.
        kinds: those that are possible there.

    Example:
        >>> kind_meant("Likelihood", ["decoder", "prior"]), kind_meant("priors", ["decoder", "prior"])
        ('decoder', 'prior')
    """
    return kind_called(word, kinds) or closest(word.strip(), kinds)


def kind_called(word: str, kinds: Collection[str]) -> str:
    """The kind of which a word is another name; nothing where it is none, though it may be misspelt.

    Example:
        >>> kind_called("Loss", ["objective"]), kind_called("objektive", ["objective"])
        ('objective', '')
    """
    plain = word.strip().lower().replace("_", "-").removesuffix("s")
    for kind, names in _CALLED.items():
        if kind in kinds and plain in {name.removesuffix("s") for name in names.split()}:
            return kind
    return ""


def kinds_hint(given: Collection[str], kinds: Collection[str], what: str = "the kinds are") -> str:
    """Which kinds there are, and which were meant by words that are none.

    Args:
        given: the words.
        kinds: those that are possible there.
        what: how the list of them begins.

    Example:
        >>> print(kinds_hint(["loss"], ["objective", "prior"]))
        did you mean objective?
        the kinds are: objective, prior
    """
    meant = dict.fromkeys(filter(None, (kind_meant(word, kinds) for word in given)))
    lines = [f"did you mean {' and '.join(meant)}?"] if meant else []
    return "\n".join([*lines, f"{what}: {', '.join(kinds)}"])
