"""Metrics: numbers about a trained model and data."""

from genmod import Component

__all__ = ["COMPONENTS"]

COMPONENTS = (
    Component(
        "metric", "elbo", "genmod.plugins.metrics.elbo:Elbo", "ELBO, rate, distortion and bits per dimension"
    ),
    Component(
        "metric",
        "nll",
        "genmod.plugins.metrics.nll:Nll",
        "negative log-likelihood by many draws of the posterior",
        aliases=("iwae",),
    ),
    Component(
        "metric",
        "ais",
        "genmod.plugins.metrics.ais:Ais",
        "negative log-likelihood by annealing from the prior",
    ),
    Component(
        "metric",
        "bdmc",
        "genmod.plugins.metrics.bdmc:Bdmc",
        "likelihood of the model's own data between two bounds, by annealing",
    ),
    Component(
        "metric",
        "exact",
        "genmod.plugins.metrics.exact:Exact",
        "exact likelihood of linear-Gaussian models and of few discrete latents",
    ),
    Component("metric", "fid", "genmod.plugins.metrics.fid:Fid", "Fréchet distance of generated examples"),
    Component(
        "metric",
        "kid",
        "genmod.plugins.metrics.kid:Kid",
        "kernel distance of generated examples, without bias",
    ),
    Component(
        "metric",
        "prdc",
        "genmod.plugins.metrics.prdc:Prdc",
        "precision, recall, density and coverage of generated examples",
    ),
    Component(
        "metric",
        "mmd-test",
        "genmod.plugins.metrics.mmd_test:MmdTest",
        "kernel test of generated examples against the data",
    ),
    Component(
        "metric",
        "c2st",
        "genmod.plugins.metrics.c2st:C2st",
        "classifier test of generated examples against the data",
    ),
    Component(
        "metric",
        "memorisation",
        "genmod.plugins.metrics.memorisation:Memorisation",
        "are generated examples copies of training examples",
    ),
    Component("metric", "mse", "genmod.plugins.metrics.mse:Mse", "squared error of reconstructions"),
    Component(
        "metric", "psnr", "genmod.plugins.metrics.psnr:Psnr", "peak signal-to-noise ratio of reconstructions"
    ),
    Component(
        "metric", "ssim", "genmod.plugins.metrics.ssim:Ssim", "structural similarity of reconstructions"
    ),
    Component(
        "metric",
        "lpips",
        "genmod.plugins.metrics.lpips:Lpips",
        "perceptual distance of reconstructions, from files",
    ),
    Component(
        "metric",
        "active-units",
        "genmod.plugins.metrics.active_units:ActiveUnits",
        "how many latents depend on the example",
    ),
    Component("metric", "rates", "genmod.plugins.metrics.rates:RatesMetric", "KL of each latent"),
    Component(
        "metric",
        "mutual-information",
        "genmod.plugins.metrics.mutual_information:MutualInformation",
        "nats that a code says about its example",
    ),
    Component(
        "metric",
        "aggregate-kl",
        "genmod.plugins.metrics.aggregate_kl:AggregateKL",
        "how far the codes of all examples are from the prior",
    ),
    Component(
        "metric",
        "codebook",
        "genmod.plugins.metrics.codebook:Codebook",
        "perplexity and dead codes of discrete latents",
    ),
    Component(
        "metric",
        "collapse",
        "genmod.plugins.metrics.collapse:Collapse",
        "what has gone wrong with the latents, and what to try",
    ),
    Component(
        "metric", "probe", "genmod.plugins.metrics.probe:Probe", "accuracy of a linear classifier of codes"
    ),
    Component(
        "metric", "knn", "genmod.plugins.metrics.knn:Knn", "accuracy of the nearest neighbours among codes"
    ),
    Component(
        "metric",
        "clustering",
        "genmod.plugins.metrics.clustering:Clustering",
        "clusters of codes against classes",
    ),
    Component(
        "metric",
        "anomaly",
        "genmod.plugins.metrics.anomaly:Anomaly",
        "does the model tell its data from something else",
    ),
    Component(
        "metric",
        "imputation",
        "genmod.plugins.metrics.imputation:Imputation",
        "error of hidden values that the model fills in",
    ),
    Component(
        "metric", "mig", "genmod.plugins.metrics.mig:Mig", "mutual information gap of latents and factors"
    ),
    Component(
        "metric",
        "dci",
        "genmod.plugins.metrics.dci:Dci",
        "disentanglement, completeness and informativeness of latents",
    ),
    Component(
        "metric", "sap", "genmod.plugins.metrics.sap:Sap", "gap of the best latents for predicting a factor"
    ),
    Component(
        "metric",
        "beta-vae-score",
        "genmod.plugins.metrics.beta_vae_score:BetaVaeScore",
        "is a shared factor told by distances of codes",
    ),
    Component(
        "metric",
        "factor-vae-score",
        "genmod.plugins.metrics.factor_vae_score:FactorVaeScore",
        "is a shared factor told by the latent that varies least",
    ),
    Component(
        "metric",
        "modularity",
        "genmod.plugins.metrics.modularity:Modularity",
        "is each latent about one factor",
    ),
    Component(
        "metric",
        "explicitness",
        "genmod.plugins.metrics.explicitness:Explicitness",
        "do linear classifiers of codes tell the values of factors",
    ),
    Component(
        "metric",
        "irs",
        "genmod.plugins.metrics.irs:Irs",
        "do latents stay while all factors but one change",
    ),
)
