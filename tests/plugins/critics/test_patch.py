"""The critic of pictures: patches, features, and the adaptive weight by hand."""

import math

import pytest
import torch

import genmod
from genmod import DataInfo, Draw, UsageError, diagonal_normal
from genmod.plugins.critics.patch import PatchCritic, adaptive_factor

DATA = DataInfo((1, 8, 8))
X = torch.rand(5, 1, 8, 8)


def draw(x, pictures):
    """Pictures ``(B, …)`` or ``(K, B, …)`` that were made of the latents, with ``(pictures - x)²/2`` for distortion."""
    z = torch.zeros(pictures.shape[0] if pictures.dim() > 4 else 1, len(x), 2)
    likelihood = diagonal_normal(pictures, torch.tensor(0.0), 3)
    distortion = 0.5 * (pictures - x).square().sum((-3, -2, -1))
    return Draw(
        x, likelihood, z, lambda: likelihood, likelihood, pictures, distortion.view(-1, len(x)).mean(0)
    )


def seeing_every_second_value(**options):
    """A critic whose features are the values of even rows and columns, and whose scores are ten times these."""
    critic = PatchCritic(DATA, (2,), channels=(1,), **options)
    with torch.no_grad():
        for layer, at, value in ((critic.stages[0], (1, 1), 1.0), (critic.last, (1, 1), 10.0)):
            layer.weight.zero_()
            layer.weight[0, 0, at[0], at[1]] = value
        critic.stages[0].bias.zero_()
    return critic


def test_each_patch_is_judged_by_itself():
    pictures = torch.rand_like(X)
    found = seeing_every_second_value(adaptive=False).losses(draw(X, pictures))
    real, made = (10 * each[:, 0, ::2, ::2].flatten(1) for each in (X, pictures))
    own = ((1 - real).clamp(min=0) + (1 + made).clamp(min=0)).mean(1)
    torch.testing.assert_close(found["critic_loss"].values, own)
    torch.testing.assert_close(found["fooling_loss"].values, -made.mean(1))
    assert (found["critic_loss"].group, found["fooling_loss"].group) == ("critic", "model")


def test_features_of_several_draws():
    """``½ Σ (φ(x) - φ(x̃))²``, the mean over draws."""
    pictures = torch.rand(3, *X.shape)
    found = seeing_every_second_value(feature_matching=0.25).losses(draw(X, pictures))
    expected = 0.5 * (pictures - X)[..., ::2, ::2].square().sum((2, 3, 4)).mean(0)
    torch.testing.assert_close(found["feature_distortion"].values, expected)
    assert found["feature_distortion"].weight == 0.25


def test_adaptive_factor_of_linear_losses():
    """Gradients of ``a·θ`` and ``b·θ`` are a and b; their norms are those of one example of four, on average."""
    at = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    a, b = (torch.randn(4, 3, dtype=torch.float64) for _ in range(2))
    found = adaptive_factor((a * at).sum(1), (b * at).sum(1), at)
    assert float(found) == pytest.approx(float(a.norm() / 2 / (b.norm() / 2 + 1e-4)), rel=1e-12)
    assert not found.requires_grad
    assert float(adaptive_factor((a * at).sum(1), 0 * at.sum(1), at)) == pytest.approx(
        min(float(a.norm() / 2) / 1e-4, 1e4)
    )


def test_adaptive_weight_of_a_critic():
    """``‖x̃ - x‖ / ‖10 on every place that is seen, over the patches‖``, times the weight."""
    pictures = torch.rand_like(X).requires_grad_()
    found = seeing_every_second_value(weight=3.0).losses(draw(X, pictures))["fooling_loss"]
    distortion = float((pictures - X).detach().norm()) / math.sqrt(5)
    fooling = 10 / 16 * math.sqrt(16)
    assert not found.weight.requires_grad
    assert float(found.weight) == pytest.approx(3 * distortion / (fooling + 1e-4), rel=1e-5)


def test_adaptive_weight_does_not_depend_on_the_number_of_examples():
    a, b = torch.randn(4, 3), 1e-4 * torch.randn(4, 3)
    found = []
    for times in (1, 3):
        at = torch.zeros(4 * times, 3, requires_grad=True)
        pair = [(each.repeat(times, 1) * at).sum(1) for each in (a, b)]
        found.append(float(adaptive_factor(*pair, at)))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_missing_values_are_nothing_to_judge():
    critic = seeing_every_second_value(adaptive=False)
    critic.data = DataInfo((1, 8, 8), missing=True)
    x, pictures = X.clone(), torch.rand_like(X)
    x[:, :, :4] = torch.nan
    found = critic.losses(draw(x, pictures))["critic_loss"].values
    filled = torch.where(x.isnan(), pictures, x)
    torch.testing.assert_close(found, critic.losses(draw(filled, pictures))["critic_loss"].values)


def test_spectral_norm():
    critic = PatchCritic(DATA, (2,), spectral_norm=True)
    for _ in range(60):
        critic.score(X)
    for layer in (critic.stages[0], critic.last):
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(
            1, abs=1e-2
        )


@pytest.mark.parametrize("shape", [(12,), (1, 5, 5)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(UsageError, match="critic patch works on images"):
        PatchCritic(DataInfo(shape), (2,))


def test_too_many_stages_are_refused():
    with pytest.raises(UsageError, match="stages"):
        genmod.build("vae-gan", settings={"critic.channels": [4, 4, 4, 4]})


def seen_of(critic, size):
    """Height of the part of a picture that one score depends on, in its middle."""
    picture = torch.rand(1, 1, size, size).requires_grad_()
    scores = critic.last(critic.features(picture))
    middle = scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2]
    (gradient,) = torch.autograd.grad(middle, picture)
    return int(gradient[0, 0].abs().sum(1).count_nonzero())


def test_layout_of_pix2pix():
    """Scores of three stages see 70×70 pixels, as in Isola et al. (2017), section 6.1.2; of none more, 3×3 last, 38×38."""
    data = DataInfo((1, 160, 160))
    critic = PatchCritic(data, (2,), channels=(2, 2, 2), layout="pix2pix")
    assert seen_of(critic, 160) == 70
    # 160 is halved to 20, and two layers of 4×4 take one place each.
    assert critic.score(torch.zeros(1, *data.shape)).shape == (1, 18 * 18)
    assert [layer.out_channels for layer in critic.stages if isinstance(layer, torch.nn.Conv2d)] == [
        2,
        2,
        2,
        4,
    ]
    assert seen_of(PatchCritic(data, (2,), channels=(2, 2, 2)), 160) == 38


def test_norm_is_that_of_one_example():
    critic = PatchCritic(DATA, (2,), channels=(8, 16), norm="group")
    assert sum(isinstance(layer, torch.nn.GroupNorm) for layer in critic.stages) == 1
    x = 100 * torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(critic.score(x)[2:3], critic.score(x[2:3]))


def test_a_layout_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="needs 3×3"):
        PatchCritic(DATA, (2,), channels=(4, 4), layout="pix2pix")


def test_features_do_not_count_before_the_start():
    critic = seeing_every_second_value(feature_matching=0.25, start=1)
    weights = []
    for _ in range(2):
        weights.append(float(critic.losses(draw(X, torch.rand_like(X)))["feature_distortion"].weight))
        critic.after_step()
    assert weights == [0, 0.25]
