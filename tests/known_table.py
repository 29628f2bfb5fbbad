"""A table whose joint distribution is known: made by a script, so that models of it can be judged against the truth.

Given a hidden group and a hidden normal ``t``, the columns are independent::

    group   1 to 3, with probabilities 0.5, 0.3, 0.2
    t       N(0, 1)
    region  of 4, by group                       category
    job     of 5, by group                       category
    zip     of 200, 50 for each region, uniform  category
    owner   P(yes) = σ(2 t)                      binary
    urban   by group                             binary
    visits  Poisson(exp(0.7 + 0.5 t))            count
    claims  NB(2, mean 6) of group 3, else mean 2 count
    height  N(170 + 8 t, 5)                      real
    score   N(-3, 0.7) or N(3, 1), by group      real, two modes
    income  exp(N(10 + 0.4 t, 0.5))              log-normal
    joined  2010-01-01 and a normal of days      date
    country always CH                            constant
"""

import csv
import datetime as dt
import math

import numpy as np
from scipy import stats

GROUPS = np.array([0.5, 0.3, 0.2])
REGION = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1], [0.05, 0.05, 0.3, 0.6]])
JOB = np.array([[0.6, 0.2, 0.1, 0.05, 0.05], [0.1, 0.1, 0.6, 0.1, 0.1], [0.05, 0.05, 0.1, 0.2, 0.6]])
URBAN = np.array([0.2, 0.5, 0.9])
CLAIMS = np.array([2.0, 2.0, 6.0])
SCORE = np.array([[0.95, 0.05], [0.5, 0.5], [0.05, 0.95]])
LOW, HIGH = (-3.0, 0.7), (3.0, 1.0)
REGIONS, JOBS = ["north", "east", "south", "west"], ["clerk", "cook", "nurse", "smith", "tutor"]
ZIPS = [[f"{r}{i:03d}" for i in range(50)] for r in range(4)]
START = dt.date(2010, 1, 1)
NAMES = [
    "region",
    "job",
    "zip",
    "owner",
    "urban",
    "visits",
    "claims",
    "height",
    "score",
    "income",
    "joined",
    "country",
]


def known_table(n, seed=0, missing=0.0):
    """``n`` rows, by column; cells are None with a probability of ``missing``, but for the constant."""
    rng = np.random.default_rng(seed)
    group, t = rng.choice(3, n, p=GROUPS), rng.normal(size=n)

    def choose(table):
        return (rng.random(n)[:, None] > table[group].cumsum(1)).sum(1).clip(max=table.shape[1] - 1)

    region, high = choose(REGION), rng.random(n) < SCORE[group, 1]
    columns = {
        "region": [REGIONS[r] for r in region],
        "job": [JOBS[j] for j in choose(JOB)],
        "zip": [ZIPS[r][i] for r, i in zip(region, rng.integers(0, 50, n), strict=True)],
        "owner": ["yes" if y else "no" for y in rng.random(n) < 1 / (1 + np.exp(-2 * t))],
        "urban": ["yes" if y else "no" for y in rng.random(n) < URBAN[group]],
        "visits": rng.poisson(np.exp(0.7 + 0.5 * t)).tolist(),
        "claims": rng.negative_binomial(2, 2 / (2 + CLAIMS[group])).tolist(),
        "height": np.round(rng.normal(170 + 8 * t, 5), 2).tolist(),
        "score": np.where(high, rng.normal(*HIGH, n), rng.normal(*LOW, n)).tolist(),
        "income": np.exp(rng.normal(10 + 0.4 * t, 0.5)).tolist(),
        "joined": [START + dt.timedelta(days=round(d)) for d in rng.normal(2000 + 300 * t, 400)],
        "country": ["CH"] * n,
    }
    if missing:
        for name in NAMES[:-1]:
            columns[name] = [
                None if m else v for m, v in zip(rng.random(n) < missing, columns[name], strict=True)
            ]
    return columns


def write_known_table(path, n, seed=0, missing=0.0):
    """:func:`known_table` as CSV."""
    columns = known_table(n, seed, missing)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(NAMES)
        writer.writerows(zip(*columns.values(), strict=True))


def known_log_density(columns, points=160):
    """``log p`` of each complete row, per unit of the user (years of ``joined`` are days), by quadrature over ``t``."""
    t, weight = np.polynomial.hermite_e.hermegauss(points)
    weight = weight / math.sqrt(2 * math.pi)
    take = {
        name: np.array([known.index(v) for v in columns[name]])
        for name, known in (("region", REGIONS), ("job", JOBS))
    }
    owner, urban = (np.array(columns[name]) == "yes" for name in ("owner", "urban"))
    visits, claims, height, score, income = (
        np.array(columns[name], dtype=float) for name in ("visits", "claims", "height", "score", "income")
    )
    days = np.array([(day - START).days for day in columns["joined"]], dtype=float)
    by_t = (
        -np.logaddexp(0, np.where(owner[:, None], -2 * t, 2 * t))
        + stats.poisson.logpmf(visits[:, None], np.exp(0.7 + 0.5 * t))
        + stats.norm.logpdf(height[:, None], 170 + 8 * t, 5)
        + stats.norm.logpdf(np.log(income)[:, None], 10 + 0.4 * t, 0.5)
        - np.log(income)[:, None]
        + stats.norm.logpdf(days[:, None], 2000 + 300 * t, 400)
    )
    top = by_t.max(1, keepdims=True)
    over_t = np.log((weight * np.exp(by_t - top)).sum(1)) + top[:, 0]
    modes = np.exp(np.stack([stats.norm.logpdf(score, *LOW), stats.norm.logpdf(score, *HIGH)], 1))
    each = [
        GROUPS[g]
        * REGION[g][take["region"]]
        * JOB[g][take["job"]]
        / 50
        * np.where(urban, URBAN[g], 1 - URBAN[g])
        * stats.nbinom.pmf(claims, 2, 2 / (2 + CLAIMS[g]))
        * (modes @ SCORE[g])
        for g in range(3)
    ]
    return over_t + np.log(sum(each))
