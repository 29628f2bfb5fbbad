"""Computes what ``genmod export --format onnx`` wrote, with numpy and onnxruntime alone: no torch, no genmod.

    python consumer.py sample.onnx -n 16                          draws: pictures to a .pgm, rows of a table to a .csv
    python consumer.py sample.onnx -n 16 --condition label=seven  of a conditional model
    python consumer.py encode.onnx --x people.csv                 rows of the table that the model was built for
    python consumer.py encode.onnx --x pictures.npy               values from 0 to 1, (N, channels, height, width)

Everything that is computed is written to FILE.npz, under the names of the outputs.
"""

import argparse
import csv
import json
import math
from pathlib import Path

import numpy as np
import onnxruntime


def standardised(rows, columns, data):
    """The rows of a table as a model sees them: numbers, standardised; NaN where a cell is empty."""
    x = np.full((len(rows), len(columns)), np.nan)
    for place, column in enumerate(columns):
        for i, row in enumerate(rows):
            cell = row[column["name"]]
            if cell == "":
                continue
            if column["kind"] in ("binary", "category", "ordered"):
                x[i, place] = [str(value) for value in column["values"]].index(cell)
            elif column["kind"] == "count":
                x[i, place] = float(cell)
            elif column["kind"] == "date":
                raise SystemExit(
                    f"column {column['name']}: dates are days or seconds since 1970; convert them here"
                )
            else:
                number = float(cell)
                number = math.log(number + column["offset"]) if column["kind"] == "positive" else number
                x[i, place] = (number - data["shift"][place]) / data["scale"][place]
    return x.astype(np.float32)


def original(x, columns, data):
    """The reverse: the cells of rows ``x (N, columns)``."""
    cells = []
    for place, column in enumerate(columns):
        numbers = x[:, place].astype(float)
        if column["kind"] in ("binary", "category", "ordered"):
            last = len(column["values"]) - 1
            cells.append([column["values"][round(min(max(v, 0), last))] for v in numbers])
            continue
        if column["kind"] != "count":
            numbers = numbers * data["scale"][place] + data["shift"][place]
            numbers = np.exp(numbers) - column["offset"] if column["kind"] == "positive" else numbers
        step = column["step"] or (1.0 if column["kind"] == "count" else 0.0)
        cells.append([round(v / step) * step if step else v for v in numbers])
    return list(zip(*cells, strict=True))


def given(names, text, count):
    """The input ``context``: 1 for each value that holds. Conditions that TEXT does not name take all values in turn."""
    asked = dict(part.split("=", 1) for part in text.split(",")) if text else {}
    for name, value in asked.items():
        if f"{name}={value}" not in names and f"log {name}" not in names:
            raise SystemExit(f"there is no {name}={value}; there are {', '.join(names)}")
    context = np.zeros((count, len(names)), np.float32)
    for condition in dict.fromkeys(name.partition("=")[0] for name in names):
        if condition.startswith("log "):  # an exposure, such as the depth of a cell
            context[:, names.index(condition)] = math.log(float(asked.get(condition[4:], 1000)))
            continue
        places = [i for i, name in enumerate(names) if name.partition("=")[0] == condition]
        if condition in asked:
            places = [names.index(f"{condition}={asked[condition]}")]
        for i in range(count):
            context[i, places[i % len(places)]] = 1
    return context


def write_pictures(path, x, low, high):
    """Pictures ``(N, channels, height, width)`` side by side, as .pgm or .ppm, which most viewers open."""
    x = (np.clip((x - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    wide = np.concatenate(list(x), axis=2)
    magic, path = ("P5", path.with_suffix(".pgm")) if len(wide) == 1 else ("P6", path.with_suffix(".ppm"))
    wide = wide[0] if len(wide) == 1 else wide[:3].transpose(1, 2, 0)
    path.write_bytes(f"{magic} {wide.shape[1]} {wide.shape[0]} 255\n".encode() + wide.tobytes())
    print(path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--x", type=Path, help="examples: a .npy of values, or a .csv of a table")
    parser.add_argument("-n", type=int, default=8, help="how many, where no examples are given")
    parser.add_argument("--condition", help="NAME=VALUE,…")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()

    session = onnxruntime.InferenceSession(str(options.file), providers=["CPUExecutionProvider"])
    known = json.loads(session.get_modelmeta().custom_metadata_map["genmod"])
    data = known["data"]
    columns = [
        c
        for c in data.get("columns", [])
        if c["kind"] not in ("constant", "identifier") and not c.get("given")
    ]

    inputs, count, rng = {}, options.n, np.random.default_rng(options.seed)
    if options.x is not None:
        if options.x.suffix == ".csv":
            with options.x.open(newline="", encoding="utf-8") as lines:
                inputs["x"] = standardised(list(csv.DictReader(lines)), columns, data)
        else:
            inputs["x"] = np.load(options.x).astype(np.float32)
        count = len(inputs["x"])
    for value in known["inputs"]:
        name, shape = value["name"], (count, *value["shape"][1:])
        if name == "context":
            inputs[name] = given(known["context"], options.condition, count)
        elif name in ("noise", "z"):
            inputs[name] = rng.standard_normal(shape).astype(np.float32)
        elif name == "uniform":
            inputs[name] = rng.random(shape, dtype=np.float32)
        elif name not in inputs:
            raise SystemExit(f"{options.file} takes examples {tuple(shape[1:])}: --x FILE")

    names = [value["name"] for value in known["outputs"]]
    found = dict(zip(names, session.run(names, inputs), strict=True))
    out = options.out or options.file.with_suffix(".npz")
    np.savez(out, **found)
    print(out, *(f"{name} {array.shape}" for name, array in found.items()))
    if "examples" in found and columns:
        with out.with_suffix(".csv").open("w", newline="", encoding="utf-8") as lines:
            rows = original(found["examples"], columns, data)
            csv.writer(lines).writerows([[c["name"] for c in columns], *rows])
        print(out.with_suffix(".csv"))
    elif "examples" in found and found["examples"].ndim == 4:
        write_pictures(out, found["examples"], float(data["low"]), float(data["high"]))


if __name__ == "__main__":
    main()
