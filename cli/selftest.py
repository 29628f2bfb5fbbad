"""``genmod selftest``."""

from typing import TYPE_CHECKING

import typer

from genmod.cli import console
from genmod.cli.options import Json

if TYPE_CHECKING:
    from genmod.testing.selftest import Proof

__all__ = ["selftest"]


def selftest(
    json: Json = False,
) -> None:
    """Check the mathematics on this machine.

    Compares numbers of the code that trains and measures models with known ones: bounds and likelihoods of a
    linear-Gaussian model, gradients by finite differences, divergences by draws, a trained linear VAE against
    scikit-learn's PCA, a resumed run against an uninterrupted one. Takes less than a minute. The exit code is 1 if
    a number is wrong.

    Examples:
      genmod selftest
      genmod selftest --json > selftest.json
    """
    from genmod.system.environment import environment, versions
    from genmod.testing.selftest import selftest as run

    def show(proof: "Proof") -> None:
        console.note(f"{'ok    ' if proof.holds else 'FAILED'} {proof.what}  ({proof.seconds:.1f} s)")

    proofs = run(show)
    failed = [proof for proof in proofs if not proof.holds]
    if json:
        console.print_json(
            {
                "ok": not failed,
                "versions": versions(),
                "environment": environment("cpu"),
                "proofs": [proof.to_json() for proof in proofs],
            }
        )
    else:
        console.print_table(
            ["what", "found", "should be", "tolerance", "holds"],
            [
                [
                    proof.what,
                    f"{proof.found:.8g}",
                    f"{proof.wanted:.8g}",
                    f"{proof.tolerance:.2g}",
                    "yes" if proof.holds else "NO",
                ]
                for proof in proofs
            ],
        )
    if failed:
        console.error(
            f"{len(failed)} of {len(proofs)} are not as they should be", "genmod info, for a report"
        )
        raise typer.Exit(1)
