"""Posteriors that draw codes: what they round to, the gradients past it, their codebooks, and the bound they give."""

import math

import pytest
import torch
from torch.distributions import kl_divergence
from torch.nn.functional import normalize

import genmod
from genmod import Batch, DataInfo, TensorSplit, UsageError, compose
from genmod.figures.traversals import traversal
from genmod.model.assembly import assemble
from genmod.plugins.posteriors._codebook import LearnedCodebook
from genmod.plugins.posteriors._quantised import handed_on
from genmod.plugins.posteriors.fsq import FSQPosterior
from genmod.plugins.posteriors.lfq import LFQPosterior
from genmod.plugins.posteriors.residual_vq import ResidualVQPosterior
from genmod.plugins.posteriors.vq import VQPosterior

MAKES = {
    "vq": lambda *shapes: VQPosterior(*shapes, codes=7),
    "vq heads": lambda *shapes: VQPosterior(*shapes, codes=5, heads=2),
    "vq cosine": lambda *shapes: VQPosterior(*shapes, codes=5, cosine=True),
    "residual-vq": lambda *shapes: ResidualVQPosterior(*shapes, codes=5, levels=3),
    "fsq": lambda *shapes: FSQPosterior(*shapes, levels=(5, 4, 3, 2)),
    "lfq": lambda *shapes: LFQPosterior(*shapes),
}
LAYOUTS = {"vectors": ((9,), (3, 4)), "one vector": ((9,), (4,)), "map": ((6, 3, 2), (4,))}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", MAKES)
def test_codes_and_latents_are_each_others(name, layout):
    features, latent = LAYOUTS[layout]
    posterior = MAKES[name](features, latent)
    q = posterior(torch.randn(11, *features))
    assert q.codes.shape == (11, *posterior.shape)
    assert q.event_shape == posterior.latent_shape
    assert int(q.codes.max()) < posterior.classes
    assert torch.equal(posterior.embed(q.codes), q.mean)
    assert torch.equal(posterior.codes(q.mean), q.codes)
    every = torch.randint(posterior.classes, (50, 2, *posterior.shape))
    assert torch.equal(posterior.codes(posterior.embed(every)), every)
    assert q.support.check(posterior.embed(every[:, 0])).all()
    if layout == "map":
        # The codes of a place depend on the features of that place alone.
        x = torch.randn(1, *features)
        other = x.clone()
        other[..., 0, 0] += 5
        a, b = posterior(x).mean, posterior(other).mean
        assert torch.equal(a[..., 1:, :], b[..., 1:, :])


@pytest.mark.parametrize("name", [name for name in MAKES if name != "residual-vq"])
def test_what_is_rounded_to_is_the_nearest(name):
    """By trying all latents of one place."""
    posterior = MAKES[name]((9,), (4,)).double()
    q = posterior(torch.randn(40, 9, dtype=torch.float64))
    places = torch.cartesian_prod(*[torch.arange(posterior.classes)] * math.prod(posterior.shape))
    every = posterior.embed(places.reshape(-1, *posterior.shape)).double()
    distances = (q.encoded[:, None] - every).square().sum(-1)
    chosen = (q.encoded - q.mean).square().sum(-1)
    torch.testing.assert_close(chosen, distances.min(1).values)


def test_levels_round_what_those_before_leave_over():
    posterior = ResidualVQPosterior((9,), (4,), codes=6, levels=3)
    features = torch.randn(8, 9)
    q, left = posterior(features), posterior.places(features)[:, 0]
    for level, book in enumerate(posterior.books):
        codes = torch.cdist(left, book.vectors).argmin(1)
        assert torch.equal(q.codes[:, level], codes)
        left = left - book.vectors[codes]


def test_the_straight_through_gradient_is_the_identity():
    encoded, point = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3)
    made = handed_on(encoded, point, "straight-through")
    assert torch.equal(made, point)
    weights = torch.randn(5, 3)
    (made * weights).sum().backward()
    assert torch.equal(encoded.grad, weights)


def test_the_rotation_keeps_angles_and_scales_by_the_lengths():
    """Against the matrix, written out, that turns one direction into the other in their plane."""
    encoded = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    point, gradient = torch.randn(2, 6, 4, dtype=torch.float64)
    made = handed_on(encoded, point, "rotation")
    assert torch.equal(made, point)
    (made * gradient).sum().backward()
    for v, e, g, got in zip(encoded.detach(), point, gradient, encoded.grad, strict=True):
        a, b = normalize(v, dim=0), normalize(e, dim=0)
        c = normalize(b - (a @ b) * a, dim=0)
        cos, sin = a @ b, (1 - (a @ b) ** 2).sqrt()
        plane = torch.outer(a, a) + torch.outer(c, c)
        turn = torch.outer(c, a) - torch.outer(a, c)
        rotation = torch.eye(4, dtype=torch.float64) - plane + cos * plane + sin * turn
        torch.testing.assert_close(rotation @ a, b)
        torch.testing.assert_close(got, e.norm() / v.norm() * rotation.T @ g)


def test_running_means_have_their_closed_form():
    """``N_k = γ^T + (1-γ) Σ_t γ^(T-t) n_kt``, and the same of the sums, whatever the parts of a step."""
    gamma, steps = 0.9, 6
    book = LearnedCodebook(3, 2, decay=gamma).double()
    counts, sums = gamma**steps * torch.ones(3).double(), gamma**steps * book.vectors.clone()
    for step in range(steps):
        vectors = torch.randn(12, 2, dtype=torch.float64)
        codes = torch.cdist(vectors, book.vectors).argmin(1)
        before = book.vectors.clone()
        for part in range(0, 12, 4):
            book.saw(vectors[part : part + 4], codes[part : part + 4])
        assert torch.equal(before, book.vectors)
        book.after_step()
        weight = (1 - gamma) * gamma ** (steps - 1 - step)
        counts += weight * torch.bincount(codes, minlength=3)
        sums += weight * torch.stack([vectors[codes == k].sum(0) for k in range(3)])
    torch.testing.assert_close(book.counts, counts)
    torch.testing.assert_close(book.vectors, sums / counts[:, None], rtol=1e-4, atol=1e-5)


def test_codes_that_nothing_uses_are_put_where_something_is_encoded():
    book = LearnedCodebook(4, 2, revive=0.1)
    with torch.no_grad():
        book.vectors[3] = 1e3
        book.counts[3] = 1e-3
    encoded = torch.randn(20, 2)
    book.saw(encoded, book.nearest(encoded))
    book.after_step()
    assert (book.vectors[3] == encoded).all(1).any()
    assert float(book.counts[3]) > 0.1


def test_a_codebook_starts_among_what_is_encoded():
    centres = torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0]])
    encoded = (centres[:, None] + 0.1 * torch.randn(3, 30, 2)).reshape(-1, 2)
    book, again = LearnedCodebook(3, 2), LearnedCodebook(3, 2)
    for each in (book, again):
        each.start(encoded)
    assert torch.equal(again.vectors, book.vectors)
    means = torch.stack([encoded[book.nearest(encoded) == k].mean(0) for k in range(3)])
    torch.testing.assert_close(book.vectors, means)
    # A model that is trained further keeps its codebook.
    book.start(10 * encoded)
    assert torch.equal(again.vectors, book.vectors)


def test_every_level_of_fsq_is_reached():
    posterior = FSQPosterior((1,), (1, 2), levels=(4, 5))
    with torch.no_grad():
        posterior.places.head.weight.fill_(1.0)
        posterior.places.head.bias.zero_()
    q = posterior(torch.linspace(-9, 9, 400)[:, None])
    for values, levels in zip(q.mean[:, 0].T, (4, 5), strict=True):
        assert len(values.unique()) == levels
    # At zero features nothing is at the border of two levels.
    at_zero = posterior.encoded(torch.zeros(1, 1))
    torch.testing.assert_close(at_zero, torch.zeros_like(at_zero), rtol=0, atol=1e-6)


def test_the_entropy_loss_is_that_of_all_codes():
    """By enumeration of the ``2^3`` codes, whose bits are independent."""
    model = build(posterior={"name": "lfq", "temperature": 2.0}, latent=(1, 3))
    x = torch.randint(2, (6, 8), dtype=torch.uint8)
    q = model.encode(model.observe(x))
    plus = (4 * q.encoded.detach().double()[:, 0] / 2.0).sigmoid()
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    p = (corners * plus[:, None] + (1 - corners) * (1 - plus[:, None])).prod(-1)
    bits = plus.mean(0)
    apart = torch.special.entr(bits) + torch.special.entr(1 - bits)
    expected = torch.special.entr(p).sum(1) - apart.sum()
    torch.testing.assert_close(model.terms(x).values["entropy"].double(), expected, rtol=1e-4, atol=1e-4)


def build(**parts):
    small = {"encoder": {"name": "mlp", "hidden": [16]}, "network": {"name": "mlp", "hidden": [16]}}
    latent = parts.pop("latent", (4, 3))
    components = {"posterior": "vq", "prior": "categorical", "divergence": "kl", **small, **parts}
    return assemble(compose(components=components, latent=latent), DataInfo((8,), levels=2), seed=1)


@pytest.mark.parametrize("divergence", ["kl", "kl-mc"])
def test_the_rate_of_four_codes_of_64_is_that_of_24_bits(divergence):
    model = build(posterior={"name": "vq", "codes": 64}, divergence=divergence)
    x = torch.randint(2, (6, 8), dtype=torch.uint8)
    torch.testing.assert_close(model.terms(x).values["rate"], torch.full((6,), 4 * math.log(64)))


@pytest.mark.parametrize("prior", ["autoregressive", "transformer"])
def test_the_bound_is_below_the_probability(prior):
    """``P(x)`` by all latents: the sum over them of ``P(codes) P(x|codes)``; the bound has one term of it."""
    model = build(posterior={"name": "vq", "codes": 3}, prior=prior, latent=(3, 2)).eval()
    with torch.no_grad():
        for parameter in model.prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    codes = torch.cartesian_prod(*[torch.arange(3)] * 3)
    z = model.posterior.embed(codes)
    log_p = model.prior().log_prob(z)
    torch.testing.assert_close(log_p.exp().sum(), torch.tensor(1.0))
    x = torch.randint(2, (6, 8)).float()
    exact = (model.decode(z[:, None].expand(-1, 6, -1, -1)).log_prob(x) + log_p[:, None]).logsumexp(0)
    bound = model.log_weights(x)[0]
    assert (bound <= exact + 1e-5).all()
    q = model.encode(x)
    torch.testing.assert_close(bound, model.decode(q.mean).log_prob(x) - kl_divergence(q, model.prior()))
    assert model.prior().log_prob(z[:1] + 0.1).isneginf().all()


def test_a_prior_that_is_none_of_classes_is_refused():
    with pytest.raises(
        UsageError, match="draws codes, 64 of them, and prior 'normal' is no prior over classes"
    ) as caught:
        build(prior="normal")
    for name in ("categorical", "autoregressive"):
        assert f"--prior {name}" in caught.value.hint
        build(prior=name)


def test_an_objective_without_draws_is_refused():
    with pytest.raises(UsageError, match="hands out none") as caught:
        build(objective="iwae", divergence="none")
    assert "--objective elbo" in caught.value.hint


@pytest.mark.parametrize("posterior", ["vq", "residual-vq", "lfq"])
def test_losses_do_not_depend_on_the_size_of_the_batch(posterior):
    model = build(posterior=posterior).double().eval()
    x = torch.randint(2, (6, 8), dtype=torch.uint8)
    torch.testing.assert_close(model.terms(x).loss, model.terms(x.repeat(3, 1)).loss)


class Rows(genmod.Dataset):
    def __init__(self):
        super().__init__(None)
        fixed = torch.Generator().manual_seed(2)
        self.x = torch.randint(2, (60, 8), generator=fixed, dtype=torch.uint8)

    @property
    def info(self):
        return DataInfo((8,), levels=2)

    def split(self, name):
        return TensorSplit(Batch(self.x))


HOW = {"steps": 14, "batch_size": 24, "device": "cpu", "log_every": 7}


@pytest.mark.parametrize("codebook", ["ema", "gradient"])
def test_parts_of_a_batch_move_the_codebook_as_the_whole(codebook):
    options = {"name": "vq", "codes": 6, "codebook": codebook, "revive": 0.0}
    models = [build(posterior=options) for _ in range(2)]
    for model, parts in zip(models, (1, 2), strict=True):
        genmod.train(model, Rows(), **HOW, accumulate=parts)
    for name, one in models[0].state_dict().items():
        torch.testing.assert_close(one, models[1].state_dict()[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("posterior", ["vq", pytest.param("residual-vq", marks=pytest.mark.slow)])
def test_runs_go_on_bit_for_bit_in_the_middle_of_an_epoch(posterior, tmp_path):
    def model():
        return build(posterior={"name": posterior, "codes": 6, "revive": 0.3}, prior="transformer")

    class Stop(Exception):
        pass

    def stop(event):
        if event.kind == "checkpoint" and event.step == 8:
            raise Stop

    whole, first, again = model(), model(), model()
    genmod.train(whole, Rows(), **HOW)
    with pytest.raises(Stop):
        genmod.train(first, Rows(), directory=tmp_path / "m", **HOW, checkpoint_every=4, on_event=stop)
    genmod.train(again, Rows(), directory=tmp_path / "m", **HOW, checkpoint_every=4, resume=True)
    assert all(torch.equal(t, again.state_dict()[name]) for name, t in whole.state_dict().items())


def test_a_walk_goes_over_codes():
    model = build(posterior={"name": "vq", "codes": 5}).eval()
    z = model.latents(1)[0]
    picture = traversal(model, z, [2, 0], torch.linspace(-2, 2, 5))
    codes, own = model.posterior.codes(picture.latents), model.posterior.codes(z[None])[0]
    assert codes[0, :, 2].tolist() == codes[1, :, 0].tolist() == [0, 1, 2, 3, 4]
    assert (codes[0][:, [0, 1, 3]] == own[[0, 1, 3]]).all()
    assert model.space.contains(picture.latents.flatten(0, 1)).all()
    assert [unit.label for unit in model.space.units] == ["0", "1", "2", "3"]


def test_latents_put_back_are_codes():
    model = build(posterior={"name": "vq", "codes": 5})
    moved = model.latents(7).flatten(1) + 0.01
    assert not model.space.contains(moved.reshape(7, 4, 3)).any()
    assert model.space.contains(model.space.settled(moved).reshape(7, 4, 3)).all()


@pytest.mark.slow
def test_nearly_all_codes_are_used():
    """The recipe on digits, with narrower networks, after 30 epochs."""
    model = genmod.build("vq-vae", settings={"encoder.width": 32})
    genmod.train(model, epochs=30, lr=2e-3, device="cpu", seed=0)
    found = genmod.evaluate(model, genmod.open_dataset(model.spec), "codebook")["codes_in_use"]
    assert found.details["of"] == 64
    assert found.value >= 58
    assert found.details["perplexities"][0] > 32


@pytest.mark.parametrize("decay", [0.9, None])
def test_codes_are_revived_without_waiting_for_the_device(decay):
    """Where a device runs behind the program, all are drawn for, and those that are used stay as they are."""
    book = LearnedCodebook(4, 2, decay=decay, revive=0.5)
    before, encoded = book.vectors.detach().clone(), torch.randn(5, 2)
    book.counts.copy_(torch.tensor([9.0, 0.1, 8.0, 0.2]))
    rare, even = torch.tensor([False, True, False, True]), book.counts.sum() / 4
    with torch.no_grad():
        book._revive_there(encoded, rare, even)
    assert torch.equal(book.vectors[::2], before[::2])
    assert all(any(torch.equal(vector, each) for each in encoded) for vector in book.vectors[1::2])
    torch.testing.assert_close(book.counts, torch.tensor([9.0, even, 8.0, even]))
    if decay is not None:
        torch.testing.assert_close(book.sums[1::2], book.vectors[1::2] * even)
