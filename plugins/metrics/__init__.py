"""Metrics: numbers about a trained model and data."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "metric",
    ("elbo", "Elbo", "ELBO, rate, distortion and bits per dimension"),
    ("nll", "Nll", "negative log-likelihood by many draws of the posterior"),
    ("ais", "Ais", "negative log-likelihood by annealing from the prior"),
    ("bdmc", "Bdmc", "likelihood of the model's own data between two bounds, by annealing"),
    ("exact", "Exact", "exact likelihood of linear-Gaussian models and of few discrete latents"),
    ("fid", "Fid", "Fréchet distance of generated examples"),
    ("kid", "Kid", "kernel distance of generated examples, without bias"),
    ("prdc", "Prdc", "precision, recall, density and coverage of generated examples"),
    ("mmd-test", "MmdTest", "kernel test of generated examples against the data"),
    ("c2st", "C2st", "classifier test of generated examples against the data"),
    ("memorisation", "Memorisation", "are generated examples copies of training examples"),
    ("mse", "Mse", "squared error of reconstructions"),
    ("psnr", "Psnr", "peak signal-to-noise ratio of reconstructions"),
    ("ssim", "Ssim", "structural similarity of reconstructions"),
    ("lpips", "Lpips", "perceptual distance of reconstructions, from files"),
    ("active-units", "ActiveUnits", "how many latents depend on the example"),
    ("rates", "RatesMetric", "KL of each latent"),
    ("mutual-information", "MutualInformation", "nats of information that a code holds about its example"),
    ("aggregate-kl", "AggregateKL", "how far the codes of all examples are from the prior"),
    ("codebook", "Codebook", "perplexity and dead codes of discrete latents"),
    ("collapse", "Collapse", "what has gone wrong with the latents, and what to try"),
    ("probe", "Probe", "accuracy of a linear classifier of codes"),
    ("knn", "Knn", "accuracy of the nearest neighbours among codes"),
    ("clustering", "Clustering", "clusters of codes against classes"),
    ("anomaly", "Anomaly", "does the model recognise examples that are not of its data"),
    ("imputation", "Imputation", "error of hidden values that the model fills in"),
    ("mig", "Mig", "mutual information gap of latents and factors"),
    ("dci", "Dci", "disentanglement, completeness and informativeness of latents"),
    ("sap", "Sap", "gap of the best latents for predicting a factor"),
    ("beta-vae-score", "BetaVaeScore", "is a shared factor predicted by distances of codes"),
    ("factor-vae-score", "FactorVaeScore", "is a shared factor identified by the latent that varies least"),
    ("modularity", "Modularity", "is each latent about one factor"),
    ("explicitness", "Explicitness", "do linear classifiers of codes predict the values of factors"),
    ("irs", "Irs", "do latents stay while all factors but one change"),
    aliases={"nll": "iwae"},
)
