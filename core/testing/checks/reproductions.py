"""Laws for reproductions: their experiments can be run."""

import math

from genmod.defaults import REPRODUCTION
from genmod.errors import DataError, GenmodError
from genmod.evaluation.runner import make_metrics
from genmod.experiments import Reproduction
from genmod.model.assembly import blueprint, open_dataset
from genmod.registry.lookup import use_registry
from genmod.testing.case import Case, NotApplicable
from genmod.testing.check import CheckFailed, check_for, expect

__all__: list[str] = []


@check_for(
    "reproduction",
    remedy=f"give summary, paper, protocol, and a [[run]] for each model, as `genmod show reproduction {REPRODUCTION}`",
    once=True,
    needs="record",
)
def check_reproduction(case: Case) -> None:
    """It is an experiment in TOML; its models fit together, its metrics exist, and its quick version does less."""
    if case.provided is None:
        raise NotApplicable("it is no file")
    text = case.provided.text()
    try:
        with use_registry(case.registry):
            full = Reproduction.from_toml(case.label, text)
            quick = Reproduction.from_toml(case.label, text, quick=True)
            make_metrics(full.metrics)
            make_metrics(quick.metrics)
            for trial in (*full.trials, *quick.trials):
                blueprint(trial.spec, open_dataset(trial.spec, case.root, registry=case.registry).info)
    except DataError as error:
        raise NotApplicable(f"its data are not there: {error.message.splitlines()[0]}") from None
    except GenmodError as error:
        raise CheckFailed(str(error)) from None
    expect(_length(quick) <= _length(full), "its quick version is longer than the whole one")
    folders = [trial.folder for trial in full.trials]
    expect(len(set(folders)) == len(folders), f"two models would share a directory: {', '.join(folders)}")


def _length(experiment: Reproduction) -> float:
    """Epochs of all models together, or steps."""
    return math.fsum(
        float(trial.settings.get("epochs") or trial.settings.get("steps") or 0) for trial in experiment.trials
    )
