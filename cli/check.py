"""``genmod check``."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genmod.cli import console
from genmod.cli.completion import check_targets
from genmod.cli.options import DataRoot, Json, set_option

if TYPE_CHECKING:
    from genmod.testing import Outcome, Report

__all__ = ["check"]


def check(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="An installed distribution, KIND/NAME, or a file ./mine.py.",
            autocompletion=check_targets,
        ),
    ],
    set_: Annotated[list[str] | None, set_option("KIND.OPTION=VALUE", "Set an option; repeatable.")] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="CHECK=REASON",
            help="A check that cannot pass, and why, or KIND/NAME:CHECK=REASON for one component; repeatable. It is a "
            "failure if it passes.",
        ),
    ] = None,
    mutate: Annotated[
        bool,
        typer.Option(
            "--mutate",
            help="Plant faults in the components, one at a time, and say which the checks and your own tests notice.",
        ),
    ] = False,
    tests: Annotated[
        list[Path] | None,
        typer.Option(
            "--tests",
            metavar="PATH",
            help="Your tests, for --mutate, repeatable; by default those beside the package of the component.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Check again after each save of the components' files, until Ctrl-C."),
    ] = False,
    data_root: DataRoot = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="Run the checks that take minutes too, such as torch.compile.")
    ] = False,
    json: Json = False,
) -> None:
    """Check plugins and components against the laws of their kinds.

    Prints each failure with its numbers and a remedy, and each skipped check with the reason; with --verbose those
    that passed, too. The exit code is 1 if a check failed, or if none ran.

    Examples:
      genmod check genmod-laplace
      genmod check decoder/gaussian prior/normal
      genmod check dataset/npz -s dataset.path=table.npz
      genmod check ./mine.py --watch
      genmod check ./mine.py --mutate
      genmod check ./mine.py --expect "check_extremes=its tails are cut by definition"
    """
    import torch

    from genmod.errors import UsageError
    from genmod.options.schema import Text
    from genmod.spec import parse_setting
    from genmod.testing import run_checks

    # The tensors are small: more threads would only wait for each other.
    torch.set_num_threads(1)
    # What it logs of an error in the component, the report says in one line.
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    options = {path: Text(value) for path, value in map(parse_setting, set_ or [])}
    expected = dict(map(_expected, expect or []))
    if tests and not mutate:
        raise UsageError(
            "--tests says where your tests are for --mutate, which is not given", hint="add --mutate"
        )
    if watch:
        from genmod.cli.watch import show_watch

        if json or mutate:
            raise UsageError(
                f"--watch goes on for ever, and {'--json' if json else '--mutate'} gives one result",
                hint="leave one of them out",
            )
        show_watch(targets, options, expected, data_root, slow=slow)
        return
    if mutate:
        from genmod.cli.mutate import show_faults

        if not show_faults(targets, options, tests or [], data_root, json=json):
            raise typer.Exit(1)
        return
    report = run_checks(targets, options=options, expected_failures=expected, slow=slow, root=data_root)
    if json:
        console.print_json(report.to_json())
    else:
        verbose = console.settings.verbose
        shown = [each for each in report.checks if verbose or (each.status != "passed" and not each.see)]
        if shown:
            console.print_table(
                ["result", "component", "check", "seconds", "why", "remedy"],
                [
                    (
                        each.status,
                        each.component,
                        each.check,
                        f"{each.seconds:.1f}",
                        _why(each, report),
                        each.remedy,
                    )
                    for each in shown
                ],
            )
        console.print_text(str(report))
    if not report.ok:
        count = len(report.failed)
        why = f"{count} check{'s' * (count > 1)} failed" if count else "no check ran"
        console.error(
            why, "the last column says what to change" if report.failed else "choose something to check"
        )
        raise typer.Exit(1)


def _expected(text: str) -> tuple[str, str]:
    """A check and why it is expected to fail."""
    from genmod.errors import UsageError, quoted

    check, equals, reason = text.partition("=")
    if not equals or not reason.strip():
        raise UsageError(
            f"--expect {quoted(text)} has no reason",
            hint=f'write a check and why it cannot pass: --expect "{check.strip() or "CHECK"}=REASON"',
        )
    return check.strip(), reason.strip()


def _why(outcome: "Outcome", report: "Report") -> str:
    """The message, the author's line, and how many other checks ended there."""
    same = sum(
        each.see == outcome.check and each.component == outcome.component and each.where == outcome.where
        for each in report.checks
    )
    others = f"; {same} other{'s' * (same > 1)} ended there" if same else ""
    return outcome.message + (f"; at {outcome.where}" if outcome.where else "") + others
