"""The models that ``tables.py`` compares: fitted to a table within seconds of the processor, they make new rows."""

import contextlib
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from table_data import Data

import genmod

__all__ = ["SIDES", "Clock", "warm_up"]


class Enough(Exception):
    """The seconds are over."""


class Clock:
    """Seconds of the processor since the fit began."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.steps, self.began = seconds, 0, time.process_time()

    @property
    def passed(self) -> float:
        return time.process_time() - self.began

    def check(self, steps: int) -> None:
        self.steps = steps
        if self.passed > self.seconds:
            raise Enough


def warm_up(model: str) -> None:
    """Import what a model needs, which is no part of its fit."""
    if model == "genmod":
        frame = pd.DataFrame({"a": np.arange(30.0) ** 1.5, "b": ["x", "y", "z"] * 10})
        genmod.train(genmod.build(data=frame, latent=2), frame, steps=2, device="cpu")
    elif model in ("tvae", "ctgan"):
        import ctgan

        getattr(ctgan, model.upper())(epochs=1, enable_gpu=False).fit(
            pd.DataFrame({"a": np.arange(40.0) ** 1.5})
        )
    elif model == "copula":
        import sdv.single_table  # noqa: F401


class Ours:
    """``genmod build --data FILE && genmod train && genmod sample``: one recipe for all tables."""

    def __init__(self, data: Data, clock: Clock, seed: int, folder: Path, options: dict[str, Any]) -> None:
        path = folder / "train.csv"
        options = dict(options)
        how = options.pop("train", {})
        data.train.to_csv(path, index=False)
        self.data, self.model = data, genmod.build(data=str(path), seed=seed, **options)

        def stop(event: Any) -> None:
            if event.kind == "validation":
                self.best = event.step if event.best else self.best
                clock.check(event.step)
            elif event.kind == "progress" and event.step % 20 == 0:
                clock.check(event.step)

        self.best = 0
        how = {"seed": seed, "device": "cpu", "film_every": 0, "steps": 10**8} | how
        how = {key: value for key, value in how.items() if value is not None}
        with contextlib.suppress(Enough):
            genmod.train(self.model, on_event=stop, **how)
        self.model.eval()

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        from genmod.figures import sampled_frame

        made: pd.DataFrame = sampled_frame(self.model, n, seed=seed, like="pandas")
        return made

    def log_likelihood(self, rows: pd.DataFrame) -> np.ndarray:
        """Of each row, in the units of the table: the bound of many draws from the posterior."""
        found: np.ndarray = self.model.score_samples(rows, draws=512)
        return found


class OfCtgan:
    """``ctgan``'s models at their defaults; dates are numbers of days, as it knows none."""

    def __init__(self, data: Data, clock: Clock, seed: int, folder: Path, options: dict[str, Any]) -> None:
        import ctgan
        from torch.optim import Adam

        self.data, frame = data, data.train.copy()
        for name in data.dates:
            frame[name] = (frame[name] - pd.Timestamp(0)).dt.days.astype(float)
        made = [0]

        class Timed(Adam):
            def step(self, *args: Any, **more: Any) -> Any:
                found = super().step(*args, **more)
                made[0] += 1
                clock.check(made[0])
                return found

        torch.manual_seed(seed)
        np.random.seed(seed)
        cls = getattr(ctgan, self.name)
        self.model = cls(epochs=10**6, **({"enable_gpu": False}), **options)
        module = cls.__module__
        target = f"{module}.Adam" if self.name == "TVAE" else f"{module}.optim.Adam"
        with contextlib.suppress(Enough), patch(target, Timed):
            self.model.fit(frame, data.discrete)

    name = "TVAE"

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        torch.manual_seed(seed)
        np.random.seed(seed)
        made: pd.DataFrame = self.model.sample(n)
        for name in self.data.dates:
            made[name] = pd.Timestamp(0) + pd.to_timedelta(made[name].round().astype(int), unit="D")
        return made


class OfGan(OfCtgan):
    name = "CTGAN"


class Copula:
    """``sdv``'s Gaussian copula, which is fitted once."""

    def __init__(self, data: Data, clock: Clock, seed: int, folder: Path, options: dict[str, Any]) -> None:
        from sdv.metadata import Metadata
        from sdv.single_table import GaussianCopulaSynthesizer

        columns = {name: {"sdtype": "numerical"} for name in data.train}
        columns |= {name: {"sdtype": "categorical"} for name in data.discrete}
        columns |= {name: {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"} for name in data.dates}
        metadata = Metadata.load_from_dict({"tables": {"table": {"columns": columns}}})
        self.model = GaussianCopulaSynthesizer(metadata, **options)
        np.random.seed(seed)
        self.model.fit({"table": data.train})

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        made = self.model.sample(num_rows=n)
        return made["table"] if isinstance(made, dict) else made


class Rows:
    """No model: rows that it did not see, as good as new ones can be; or those for training."""

    def __init__(self, data: Data, clock: Clock, seed: int, folder: Path, options: dict[str, Any]) -> None:
        self.data = data

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        return self.data.held_out


SIDES: dict[str, Any] = {"genmod": Ours, "tvae": OfCtgan, "ctgan": OfGan, "copula": Copula, "rows": Rows}
