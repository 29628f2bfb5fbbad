"""The text of a model card, in Markdown."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from genmod.bundle.directory import ModelDirectory
from genmod.data.info import DataInfo
from genmod.hub.allowed import PICTURES
from genmod.hub.measured import Measured
from genmod.hub.paths import without_folders
from genmod.hub.wishes import CardWishes
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.summary import Part, Summary, summarize
from genmod.registry.file_plugin import is_local
from genmod.report.commands import build_command, train_command
from genmod.system.installed import OWN_DISTRIBUTION
from genmod.system.letters import in_lines, in_one_line

__all__ = ["card_text"]

_HOME = "https://github.com/genmod-torch/genmod"
_USE = (
    "Drawing new examples that are like its training data, and codes of such examples, in research and teaching. It is not "
    "meant for decisions about people, nor for data of another kind."
)
_SAMPLES, _RECONSTRUCTIONS = PICTURES


@dataclass(frozen=True)
class _Facts:
    """What the sections of a card are made of."""

    model: LatentVariableModel
    place: ModelDirectory
    name: str
    summary: Summary
    measured: Measured
    wishes: CardWishes


def card_text(
    model: LatentVariableModel, folder: Path, name: str, measured: Measured, wishes: CardWishes
) -> str:
    """The text of a card below its metadata.

    Args:
        model: that it is about.
        folder: with what goes up; its description has no private paths.
        name: of the repository, or of the folder, by which it is loaded.
        measured: numbers and pictures.
        wishes: of the user.
    """
    summary = summarize(model)
    summary = replace(summary, parts=tuple(map(_without_folders, summary.parts)))
    facts = _Facts(model, ModelDirectory(folder), name, summary, measured, wishes)
    sections = (_opening, _loading, _parts, _numbers, _training, _purpose, _licence, _files)
    return "\n".join(line for section in sections for line in (*section(facts), "")).rstrip() + "\n"


def _without_folders(part: Part) -> Part:
    return replace(part, changed=without_folders(part.changed)[0], options=without_folders(part.options)[0])


def _opening(facts: _Facts) -> Iterable[str]:
    summary, data = facts.summary, facts.model.data
    kind = "A latent-variable model" if facts.model.has_latents else "A generative model"
    recipe = f", from the recipe `{_word(summary.recipe)}`" if summary.recipe else ""
    yield f"# {_plain(facts.name.rpartition('/')[2])}"
    yield ""
    given = f", given {', '.join(map(_plain, summary.condition))}" if summary.condition else ""
    yield (
        f"{kind} of the data `{_word(_dataset(facts))}`{given}: {_described(data)}. Made with [genmod]({_HOME}){recipe}; "
        f"{summary.parameters:,} parameters."
    )
    if _SAMPLES in facts.measured.pictures:
        rows = ", a row for each value of what it is given" if summary.condition else ""
        yield ""
        yield f"![New examples]({facts.measured.pictures[_SAMPLES]})"
        yield ""
        yield f"*New examples that it draws, with seed {facts.wishes.seed}; none is selected{rows}.*"


def _loading(facts: _Facts) -> Iterable[str]:
    model, data = facts.model, facts.model.data
    shape = ", ".join(map(str, data.shape))
    given = {kind: part for kind, part in model.spec.components.items() if part.module and kind != "dataset"}
    words = "".join(f", {kind}={_word(part.name)}" for kind, part in given.items())
    packages = sorted({part.provider for part in facts.summary.parts if part.provider} - {OWN_DISTRIBUTION})
    installed = [f"'{OWN_DISTRIBUTION}[hub]'", *(name for name in packages if not is_local(name))]
    yield "## How to load it"
    yield ""
    yield from _block("bash", f"pip install {' '.join(map(_word, installed))}")
    yield ""
    lines = ["import genmod", "", f'model = genmod.from_pretrained("{facts.name}"{words})']
    if _SAMPLES in facts.measured.pictures:
        lines.append(f"x = model.sample(4, seed=0)  # (4, {shape})")
    else:
        lines[0] = "import genmod\nimport torch"
        lines.append(f"x = torch.zeros(4, {shape})  # your examples")
    if model.has_latents and not model.wants_context:
        lines.append("q = model.encode(x)  # a torch Distribution over latents")
    yield from _block("python", *lines)
    yield ""
    yield f"`genmod pull {facts.name}` writes it into a folder, for all commands of genmod."
    local = [name for name in packages if is_local(name)]
    if local:
        yield f"It has components of the file {', '.join(f'`{_word(name)}`' for name in local)}: give that with `--plugin`."
    if given:
        yield f"Parts were given in Python, of which it has the weights alone: {', '.join(given)}. Give their classes again."


def _parts(facts: _Facts) -> Iterable[str]:
    yield "## What it is made of"
    yield ""
    head, *rows = facts.summary.table()
    yield from _table(head, rows)
    yield ""
    yield " ".join(f"{_plain(text)}." for text in facts.summary.sentences())


def _numbers(facts: _Facts) -> Iterable[str]:
    measured, wishes = facts.measured, facts.wishes
    yield "## Numbers"
    yield ""
    if measured.evaluation is None or not measured.evaluation.rows:
        yield "None were measured when this card was made."
    else:
        rows = measured.evaluation.rows
        yield from _table(
            ("number", "value", "standard error", "unit", "examples", "better"),
            [
                (row.name, f"{row.value:.4g}", _error(row.standard_error), row.unit, f"{row.n:,}", row.better)
                for row in rows
            ],
        )
        yield ""
        where = "the data that were given" if wishes.data is not None else f"`{_word(_dataset(facts))}`"
        yield f"Of the {wishes.split} examples of {where}, with seed {measured.evaluation.seed}. What each number is:"
        yield ""
        for row in rows:
            wrong = row.details.get("impossible")
            yield f"- {_plain(row.name)}: {_plain(row.definition)}." + (
                f" **It cannot be right: {_plain(wrong)}**" if wrong else ""
            )
        for warning in measured.evaluation.warnings:
            yield f"- {_plain(warning)}"
    if _RECONSTRUCTIONS in measured.pictures:
        yield ""
        yield f"![Reconstructions]({measured.pictures[_RECONSTRUCTIONS]})"
        yield ""
        yield f"*{wishes.split.capitalize()} examples, and what is left of each after its code.*"


def _training(facts: _Facts) -> Iterable[str]:
    record = facts.wishes.run
    yield "## How it was trained"
    yield ""
    where = Path("model")
    lines = [
        build_command(facts.place.read_spec()[0], facts.model.data, where, seed=facts.model.weights_seed)
    ]
    if not record.get("step"):
        yield "There is no record of its training here. It is built by:"
    else:
        steps, best, loss = (record.get(key) for key in ("step", "best_step", "best_loss"))
        seconds = record.get("seconds")
        took = f" in {seconds:,.0f} s" if isinstance(seconds, int | float) else ""
        chosen = (
            f" These are the weights of step {best:,}, whose validation loss is the lowest: {loss:.4g}."
            if isinstance(best, int) and isinstance(loss, float)
            else ""
        )
        yield f"{steps or 0:,} steps{took}.{chosen} These lines make it again:"
        lines.append(train_command(without_folders(record.get("settings") or {})[0], where))
    yield ""
    yield from _block("bash", *lines)


def _purpose(facts: _Facts) -> Iterable[str]:
    yield "## What it is for"
    yield ""
    yield facts.wishes.intended_use or _USE
    yield ""
    yield (
        "New examples are drawn, not observed: they may look right and be wrong, have what is unfair in the training data, and "
        "be close to single training examples. The numbers hold for the data that they were measured on."
    )


def _licence(facts: _Facts) -> Iterable[str]:
    yield "## Licence"
    yield ""
    yield (
        f"`{facts.wishes.license}`."
        if facts.wishes.license
        else "None was given. Ask the authors before you use it beyond what the law allows."
    )


def _files(facts: _Facts) -> Iterable[str]:
    yield "## What is in the files"
    yield ""
    yield (
        "Names, numbers and tensors, with checksums: no code. genmod runs nothing of it, and takes components from the "
        "packages that you installed."
    )


def _dataset(facts: _Facts) -> str:
    return facts.model.spec.components["dataset"].name


def _described(data: DataInfo) -> str:
    shape = "×".join(map(str, data.shape)) + (" numbers" if len(data.shape) == 1 else "")
    values = "counts" if data.counts else f"{data.levels} levels" if data.levels else "continuous values"
    classes = f", {len(data.classes)} classes" if data.classes else ""
    return f"{shape}, {values}{classes}{', values missing' if data.missing else ''}"


def _error(value: float) -> str:
    return f"{value:.2g}" if value == value else "unknown"


def _block(language: str, *lines: str) -> Iterable[str]:
    """Lines of code; whatever is in them, they do not end the block."""
    text = in_lines("\n".join(lines))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    yield f"{fence}{language}"
    yield text
    yield fence


def _table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterable[str]:
    yield f"| {' | '.join(map(_plain, head))} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(_plain, row))} |"


def _plain(text: object) -> str:
    """A text from elsewhere as words of Markdown: no markup, and in one line."""
    return re.sub(r"[\\`*_\[\]<>|#!]", lambda found: f"\\{found[0]}", in_one_line(str(text)))


def _word(text: object) -> str:
    """A text from elsewhere between backquotes or in code, in one line."""
    return re.sub("`+", " ", in_one_line(str(text)))
