"""The tables that ``tables.py`` compares models on, in rows for training and rows that no model sees."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["TABLES", "Data", "table"]

sys.path.append(str(Path(__file__).parents[1] / "tests"))


@dataclass
class Data:
    """A table.

    Args:
        train, held_out: rows.
        target: the column that others are to predict.
        discrete: columns of categories.
        dates: columns of dates.
        truth: log-densities of the held-out rows, where they are known.
    """

    train: pd.DataFrame
    held_out: pd.DataFrame
    target: str
    discrete: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    truth: Any = None


def table(name: str, seed: int) -> Data:
    return TABLES[name](seed)


def _of_sklearn(name: str, target: str) -> Any:
    def made(seed: int) -> Data:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")(
            as_frame=True, **({"scaled": False} if name == "diabetes" else {})
        )
        frame = bunch.frame.rename(columns={"target": target})
        discrete = []
        if name == "diabetes":
            frame["sex"] = frame["sex"].map({1.0: "a", 2.0: "b"})
            discrete = ["sex"]
        else:
            frame[target] = [str(bunch.target_names[i]) for i in frame[target]]
            discrete = [target]
        order = np.random.default_rng(seed).permutation(len(frame))
        cut = len(frame) * 3 // 4
        train, held_out = (frame.iloc[part].reset_index(drop=True) for part in (order[:cut], order[cut:]))
        return Data(train, held_out, target, discrete)

    return made


CITIES = np.array(
    [[37.8, -122.3, 0.9], [34.0, -118.2, 0.7], [32.7, -117.2, 0.5], [38.6, -121.5, 0.2], [36.7, -119.8, 0.0]]
)
"""Latitude, longitude, and what they add to the logarithm of the price."""
SHARES = np.array([0.25, 0.4, 0.15, 0.12, 0.08])


def _houses(seed: int) -> Data:
    """Districts around five cities: incomes are log-normal, the price follows from city, distance, income, rooms and age.

    ``log price = 0.4 + city - 0.5 · distance + 0.6 · log(income / 3) + 0.08 · (rooms - 5) + 0.003 · age + 0.15 ε``,
    at most 5; as in the census of California, the highest prices are written as 5.00001.
    """
    rng, n = np.random.default_rng(1000 + seed), 6000
    city = rng.choice(5, n, p=SHARES)
    away = rng.normal(size=(n, 2)) * np.where(rng.random(n) < 0.7, 0.15, 0.5)[:, None]
    income = np.exp(rng.normal(np.log(3) + 0.3 * CITIES[city, 2], 0.45))
    rooms = np.exp(rng.normal(np.log(5) + 0.15 * np.log(income / 3), 0.2))
    age = np.clip(rng.normal(30 - 12 * np.hypot(*away.T), 10), 1, 52).round()
    people = rng.negative_binomial(3, 3 / (3 + 1400), n) + 3
    occupancy = np.exp(rng.normal(1.05, 0.2, n))
    log_price = 0.4 + CITIES[city, 2] - 0.5 * np.hypot(*away.T) + 0.6 * np.log(income / 3)
    log_price += 0.08 * (rooms - 5) + 0.003 * age + 0.15 * rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "income": income.round(4),
            "age": age.astype(int),
            "rooms": rooms,
            "population": people.astype(int),
            "occupancy": occupancy,
            "latitude": (CITIES[city, 0] + away[:, 0]).round(2),
            "longitude": (CITIES[city, 1] + away[:, 1]).round(2),
            "price": np.where(log_price > np.log(5), 5.00001, np.exp(log_price).round(3)),
        }
    )
    return Data(frame[:4000], frame[4000:].reset_index(drop=True), "price")


def _known(seed: int) -> Data:
    from known_table import known_log_density, known_table

    train = pd.DataFrame(known_table(4000, seed=2 * seed))
    columns = known_table(4000, seed=2 * seed + 1)
    # A value that training lacks has no likelihood in any of the models.
    seen = np.isin(columns["zip"], train["zip"])
    held_out = pd.DataFrame(columns)
    truth = known_log_density(columns)[seen]
    held_out = held_out[seen].reset_index(drop=True)
    for frame in (train, held_out):
        frame["joined"] = pd.to_datetime(frame["joined"])
    return Data(
        train, held_out, "urban", ["region", "job", "zip", "owner", "urban", "country"], ["joined"], truth
    )


TABLES: dict[str, Any] = {
    "breast-cancer": _of_sklearn("breast_cancer", "diagnosis"),
    "wine": _of_sklearn("wine", "cultivar"),
    "diabetes": _of_sklearn("diabetes", "progression"),
    "houses": _houses,
    "known": _known,
}
