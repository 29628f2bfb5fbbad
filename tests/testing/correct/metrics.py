"""Right metrics."""

import math

import torch

from correct import right
from genmod import Metric, Row, Undefined, UndefinedError, mean_row


def lengths(subject):
    return subject.codes().means.flatten(1).square().sum(1).double().cpu()


@right(always=True)
class MedianByResampling(Metric):
    """A median, whose error is that of medians of resampled examples."""

    def measure(self, subject):
        each = lengths(subject)
        fixed = torch.Generator().manual_seed(subject.seed)
        again = each[torch.randint(len(each), (200, len(each)), generator=fixed)].median(1).values
        error = float(again.std()) if len(each) > 1 else math.nan
        yield Row("median", float(each.median()), error, len(each), "", "median length of a code")


@right()
class Largest(Metric):
    """A number whose error is not known."""

    def measure(self, subject):
        yield Row("largest", float(lengths(subject).max()), math.nan, len(subject.split), "", "longest code")


@right()
class Count(Metric):
    """A number that is certain, and the same for all data of one size."""

    def measure(self, subject):
        yield Row(
            "count", float(len(subject.split)), 0.0, len(subject.split), "", "how many examples there are"
        )


@right()
class RatioOfMeans(Metric):
    """A ratio, with its error by the delta method."""

    def measure(self, subject):
        above, below = lengths(subject), 1 + subject.codes().means.flatten(1).abs().sum(1).double().cpu()
        ratio, n = above.mean() / below.mean(), len(above)
        error = float((above - ratio * below).std()) / float(below.mean()) / n**0.5 if n > 1 else math.nan
        yield Row("ratio", float(ratio), error, n, "", "a ratio of means")


@right()
class OfItsOwnDraws(Metric):
    """How often directions that are drawn are near a code; the error is that of the draws, and it says so."""

    def measure(self, subject):
        codes = subject.codes().means.flatten(1).float()
        with subject.drawing("directions"):
            drawn = torch.randn(500, codes.shape[1])
        near = (torch.cdist(drawn, codes).amin(1) < 0.5).double()
        error = float(near.std()) / 500**0.5
        details = {"error_of": "draws"}
        yield Row(
            "near", float(near.mean()), error, len(codes), "", "share of draws near a code", details=details
        )


@right()
class OfGradients(Metric):
    """It needs gradients, and turns them on; it refuses models without latents and decoders without a mean."""

    def measure(self, subject):
        if not subject.model.has_latents:
            raise UndefinedError("it is about latents")
        found = []
        for model, x, _ in subject.batches("slopes"):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                total = model.encode(x).mean.square().sum()
                found.append(torch.autograd.grad(total, x)[0].flatten(1).norm(dim=1))
        yield mean_row("slope", torch.cat(found), "", "length of the gradient of a code")


@right()
class SomeNumbersSomeReasons(Metric):
    """Two numbers, of which one is not always defined."""

    def measure(self, subject):
        each = lengths(subject)
        yield mean_row("length", each, "", "squared length of a code", "lower")
        if len(each) < 2 or not float(each.std()) > 0:
            yield Undefined("kurtosis", "all codes have one length")
            return
        scaled = (each - each.mean()) / each.std()
        yield Row("kurtosis", float(scaled.pow(4).mean()), math.nan, len(each), "", "of the lengths of codes")


@right()
class Correlation(Metric):
    """A correlation with Fisher's error, undefined where nothing varies."""

    def measure(self, subject):
        z = subject.codes().means.flatten(1).double().cpu()
        a, b = z[:, 0], z.sum(1)
        if len(z) < 5 or not min(float(a.std()), float(b.std())) > 1e-9:
            raise UndefinedError("a correlation needs five codes that differ")
        r = float(torch.corrcoef(torch.stack([a, b]))[0, 1])
        yield Row(
            "correlation", r, (1 - r**2) / (len(z) - 3) ** 0.5, len(z), "", "of a latent and the sum of all"
        )


@right()
class FirstExamplesAlone(Metric):
    """It looks at ten examples at most, and says so by their number."""

    def measure(self, subject):
        yield mean_row("length", lengths(subject)[:10], "", "squared length of a code, of ten examples")


@right()
class Likelihoods(Metric):
    """The score of whole models, too; models without a density are refused with the reason."""

    def measure(self, subject):
        subject.model.require_densities("likelihood")
        found = []
        for model, x, _ in subject.batches("likelihoods"):
            found.append(model.log_weights(x, 2).logsumexp(0) - math.log(2))
        yield mean_row("log_p", torch.cat(found), "nats", "log of two draws of an estimate of p(x)", "higher")
