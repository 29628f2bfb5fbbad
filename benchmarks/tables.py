"""Models of tables beside those of ctgan and sdv: the same rows, the same seconds of the processor.

    OMP_NUM_THREADS=1 python benchmarks/tables.py wine genmod 20
    OMP_NUM_THREADS=1 python benchmarks/tables.py wine,known genmod,tvae,copula,rows 20 --seed 1

Each model is fitted by one thread to the training rows of a table (``table_data.py``), all that it does besides included
(``table_sides.py``), and makes as many rows, at least 2,000. They are judged by

- quality: SDMetrics' score, the mean of column shapes and pair trends, beside the training and beside the held-out rows;
- efficacy: of held-out rows predicted by boosted trees and by a linear model that were fitted to made rows (as many as there
  are for training): the area under the ROC curve, or R² of numbers;
- log-likelihood: of held-out rows, nats a row in the units of the table, where the model has one;
- nearness: how probably a made row is closer to a training row than a held-out row is. 0.5 is right, 1 a copy.

``rows`` in place of a model stands for held-out rows themselves. It prints a line of JSON for each.
"""

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from table_data import TABLES, Data, table
from table_sides import SIDES, Clock, warm_up


def quality(real: pd.DataFrame, made: pd.DataFrame, data: Data) -> list[float]:
    """SDMetrics' score, and those of column shapes and pair trends."""
    from sdmetrics.reports.single_table import QualityReport

    columns = {name: {"sdtype": "numerical"} for name in real}
    columns |= {name: {"sdtype": "categorical"} for name in data.discrete}
    columns |= {name: {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"} for name in data.dates}
    report = QualityReport()
    report.generate(real, made, {"columns": columns}, verbose=False)
    parts = report.get_properties().set_index("Property")["Score"]
    return [
        round(float(v), 4) for v in (report.get_score(), parts["Column Shapes"], parts["Column Pair Trends"])
    ]


def plain(column: pd.Series, *, dates: bool) -> np.ndarray:
    """Numbers, or dates in seconds."""
    return (column.astype("datetime64[s]").astype("int64") if dates else column).to_numpy().astype(float)


def numbers(frame: pd.DataFrame, data: Data, like: pd.DataFrame, *, scaled: bool = False) -> np.ndarray:
    """Rows as vectors: numbers, standardised on request, and a place for each category of ``like``."""
    found = []
    for name in like:
        if name in data.discrete:
            values = sorted(set(like[name]))
            found.append((frame[name].to_numpy()[:, None] == np.array(values)) / (2**0.5 if scaled else 1))
        else:
            column, reference = (plain(each[name], dates=name in data.dates) for each in (frame, like))
            if scaled:
                column = (column - reference.mean()) / (reference.std() or 1)
            found.append(column[:, None])
    return np.concatenate(found, 1)


def efficacy(rows: pd.DataFrame, data: Data) -> dict[str, float]:
    """How well held-out rows are predicted after these."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.metrics import r2_score, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    others = data.train.drop(columns=data.target)
    x, wanted = (numbers(each, data, others) for each in (rows, data.held_out))
    y, truth = rows[data.target], data.held_out[data.target]
    classes = data.target in data.discrete
    models = {
        "trees": HistGradientBoostingClassifier(random_state=0)
        if classes
        else HistGradientBoostingRegressor(random_state=0),
        "linear": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=2000) if classes else RidgeCV()
        ),
    }
    found = {}
    for name, model in models.items():
        if classes and len(set(y)) < len(set(data.train[data.target])):
            found[name] = float("nan")
            continue
        model.fit(x, y)
        if classes:
            scores = model.predict_proba(wanted)
            scores = scores[:, 1] if scores.shape[1] == 2 else scores
            found[name] = roc_auc_score(truth, scores, multi_class="ovr")
        else:
            found[name] = r2_score(truth, model.predict(wanted))
    return {name: round(float(value), 4) for name, value in found.items()}


def nearness(made: pd.DataFrame, data: Data) -> float:
    """The probability that a made row is nearer to a training row than a held-out row is."""
    train, new, real = (
        torch.from_numpy(numbers(each, data, data.train, scaled=True))
        for each in (data.train, made[:2000], data.held_out[:2000])
    )
    new, real = (torch.cdist(each, train).min(1).values for each in (new, real))
    less = (new[:, None] < real).double() + 0.5 * (new[:, None] == real)
    return round(float(less.mean()), 3)


def compared(name: str, model: str, args: argparse.Namespace) -> dict[str, Any]:
    """One model of one table."""
    data = table(name, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(args.seconds)
        side = SIDES[model](data, clock, args.seed, Path(folder), args.options if model == "genmod" else {})
        found: dict[str, Any] = {
            "table": name,
            "model": model,
            "options": args.options if model == "genmod" else {},
            "seed": args.seed,
            "seconds": round(clock.passed, 1),
            "steps": clock.steps,
        }
    if hasattr(side, "best"):
        found["best"] = side.best
    made = side.sample(max(2000, len(data.train)), args.seed)[list(data.train.columns)]
    found["quality"] = {"train": quality(data.train, made, data)}
    if model != "rows":
        found["quality"]["held out"] = quality(data.held_out, made, data)
    found["efficacy"] = efficacy(data.train if model == "rows" else made[: len(data.train)], data)
    found["nearness"] = nearness(made, data)
    if hasattr(side, "log_likelihood"):
        logs = side.log_likelihood(data.held_out)
        found["log-likelihood"] = mean_and_error(logs)
        if data.truth is not None:
            found["truth"], found["below"] = mean_and_error(data.truth), mean_and_error(data.truth - logs)
    return found


def mean_and_error(values: np.ndarray) -> list[float]:
    return [round(float(values.mean()), 3), round(float(values.std() / len(values) ** 0.5), 3)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", help=f"with commas between them: {', '.join(TABLES)}")
    parser.add_argument("models", help=f"with commas between them: {', '.join(SIDES)}")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", type=json.loads, default={}, help="of genmod's model, as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for model in args.models.split(","):
        warm_up(model)
    for name in args.tables.split(","):
        for model in args.models.split(","):
            print(json.dumps(compared(name, model, args)), flush=True)


if __name__ == "__main__":
    main()
