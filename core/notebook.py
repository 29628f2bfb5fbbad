"""How models, specifications and results look in a notebook: small tables, every text in them escaped."""

import io
import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genmod.evaluation.row import Evaluation
    from genmod.figures.picture import Picture
    from genmod.model.latent_variable import LatentVariableModel
    from genmod.spec import ModelSpec
    from genmod.training.events import TrainResult

__all__ = ["evaluation_html", "model_html", "picture_png", "result_html", "spec_html"]


def model_html(model: "LatentVariableModel") -> str:
    """Parts, options and numbers of parameters of a model, and the shapes from data to latents and back.

    Example:
        >>> import genmod
        >>> "<td>normal</td>" in model_html(genmod.build(encoder="mlp", latent=2))
        True
    """
    from genmod.model.summary import option_text, summarize

    summary = summarize(model)
    rows = [
        (
            part.kind,
            part.name,
            f"{part.provider} {part.version}",
            f"{part.parameters:,}" if part.parameters else "–",
            " ".join(f"{name}={option_text(value)}" for name, value in part.changed.items()),
        )
        for part in summary.parts
    ]
    rows.append(("total", "", "", f"{summary.parameters:,}", ""))
    stages = " → ".join(f"{stage.made_by} {'×'.join(map(str, stage.shape))}" for stage in summary.stages)
    columns = ("part", "component", "from", "parameters", "options that are not the default")
    return _table(columns, rows, f"{summary.recipe or 'model'}: {stages}")


def spec_html(spec: "ModelSpec") -> str:
    """Components and options of a specification.

    Example:
        >>> from genmod import compose
        >>> "<td>mlp</td><td>hidden=64</td>" in spec_html(compose(components={"encoder": {"name": "mlp", "hidden": [64]}}))
        True
    """
    from genmod.model.summary import option_text

    rows = [
        (kind, part.name, " ".join(f"{name}={option_text(value)}" for name, value in part.options.items()))
        for kind, part in spec.components.items()
    ]
    rows.append(("latent", "×".join(map(str, spec.latent)), ""))
    if spec.condition:
        rows.append(("condition", ", ".join(spec.condition), ""))
    return _table(("part", "component", "options"), rows, spec.recipe or "model")


def evaluation_html(evaluation: "Evaluation") -> str:
    """Numbers with their standard errors and definitions, and why others are not there.

    Example:
        >>> from genmod import Evaluation, Row
        >>> row = Row("elbo", -1.5, 0.25, 10, "nats", "a < b")
        >>> "a &lt; b" in evaluation_html(Evaluation((row,), {}))
        True
    """
    rows = [
        (row.name, f"{row.value:.4g}", _error(row.standard_error), row.unit, f"{row.n:,}", row.definition)
        for row in evaluation.rows
    ]
    rows += [(name, "–", "", "", "", f"none: {reason}") for name, reason in evaluation.undefined.items()]
    return _table(
        ("number", "value", "standard error", "unit", "examples", "what it is"),
        rows,
        "; ".join([f"seed {evaluation.seed}", *evaluation.warnings]),
    )


def result_html(result: "TrainResult") -> str:
    """How a run went, and the last row of training and of validation.

    Example:
        >>> from genmod.training.events import TrainResult
        >>> "finished" in result_html(TrainResult("finished", 10, 1.0, 10, 2.5, ()))
        True
    """
    rows = []
    for split in ("train", "validation"):
        last = next((row for row in reversed(result.rows) if row.get("split") == split), None)
        if last is not None:
            values = ", ".join(
                f"{name} {value:.4g}"
                for name, value in last.items()
                if name not in ("step", "epoch", "split") and isinstance(value, int | float)
            )
            rows.append((f"last of {split}", f"step {last['step']}: {values}"))
    rows.append(("best validation loss", f"{result.best_loss:.4g} nats at step {result.best_step}"))
    caption = f"{result.status} after {result.steps:,} steps, {result.seconds:.1f} s"
    return _table(("what", "values"), rows, caption)


def picture_png(picture: "Picture") -> bytes:
    """The drawing of a picture.

    Example:
        >>> import torch
        >>> from genmod import DataInfo
        >>> from genmod.figures import Picture
        >>> picture_png(Picture(torch.rand(4, 1, 8, 8), DataInfo((1, 8, 8))))[1:4]
        b'PNG'
    """
    stream = io.BytesIO()
    picture.image().save(stream, "PNG")
    return stream.getvalue()


def _error(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.2g}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>{"".join(f"<td>{escape(str(cell))}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<table style="text-align:left"><caption style="text-align:left">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
