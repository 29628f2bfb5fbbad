"""The manners of a command line, thirty of them, each with its tests."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

MANNERS = {
    "exit codes: 0 done, 1 failed, 2 usage, 3 plugin, 130 interrupted": [
        "cli/test_errors.py::test_expected_errors",
        "cli/test_errors.py::test_interrupt_is_one_line",
    ],
    "data on stdout, everything else on stderr": ["cli/test_manners.py::test_stdout_has_data_alone"],
    "--json on every command, one document": [
        "cli/test_same_words.py::test_every_command_prints_json",
        "cli/test_same_words.py::test_documents",
    ],
    "tables are separated by tabs off a terminal, and whole on one": [
        "cli/test_console.py::test_table_off_a_terminal_is_tsv_that_keeps_its_shape",
        "cli/test_columns.py::test_nothing_is_cut_and_no_line_is_too_long",
    ],
    "-q and -v": ["cli/test_console.py::test_quiet_and_verbose"],
    "NO_COLOR, --color, TERM=dumb": ["cli/test_console.py::test_colours_on_a_terminal"],
    "what moves is decided by the terminal alone, colours apart": [
        "cli/test_console.py::test_colours_off_a_terminal"
    ],
    "progress off a terminal: a line every ten seconds": [
        "cli/test_progress.py::test_without_a_terminal_one_line_in_ten_seconds_with_the_loss_of_its_step",
    ],
    "--version in one line, without torch": [
        "cli/test_help.py::test_version_is_one_line",
        "cli/test_startup.py::test_little_is_imported_and_nothing_heavy",
    ],
    "no traceback; the plugin at fault is named": [
        "cli/test_errors.py::test_unexpected_error_is_one_line_until_asked_for_more",
        "cli/test_errors.py::test_unexpected_error_names_the_plugin_that_it_came_out_of",
    ],
    "did you mean: commands, options, names, values, runs": ["cli/test_mistakes.py::test_what_is_seen"],
    "an unknown name says which plugins failed": [
        "cli/test_manners.py::test_unknown_name_says_what_failed_to_load"
    ],
    "all mistakes in the options in one error": [
        "cli/test_build.py::test_unknown_and_ill_typed_options_are_reported_together"
    ],
    "list, show, plugins, plugin new, check": ["cli/test_help.py::test_help_of_each_command"],
    "completion, without torch": [
        "cli/test_completion.py::test_nothing_heavy_is_imported",
        "cli/test_completion.py::test_model_directories",
    ],
    "one spelling of options everywhere": ["cli/test_manners.py::test_one_spelling"],
    "what holds before what": ["cli/test_config_command.py::test_config_shows_what_holds_and_from_where"],
    "genmod config says where each value is from": [
        "cli/test_config_command.py::test_config_shows_what_holds_and_from_where"
    ],
    "--dry-run writes nothing": [
        "cli/test_build.py::test_dry_run_writes_nothing_and_says_the_same",
        "cli/test_train_command.py::test_a_plan_is_printed_and_nothing_is_written",
    ],
    "paths are those of the caller": ["cli/test_manners.py::test_paths_are_those_of_the_caller"],
    "a run is recorded": ["cli/test_rerun_command.py::test_a_run_is_repeated_in_another_directory"],
    "what exists is refused before any work": ["cli/test_mistakes.py::test_what_is_seen"],
    "writing is all or nothing": [
        "cli/test_build.py::test_disk_that_fails_midway_leaves_nothing",
        "bundle/test_model.py::test_failure_midway_leaves_the_old_model_and_no_remains",
    ],
    "--resume restores everything and refuses what has changed": [
        "training/reliability/test_resume.py::test_everything_at_once",
        "training/reliability/test_resume.py::test_other_settings_are_refused",
    ],
    "Ctrl-C finishes the step and says what goes on": [
        "cli/test_following.py::test_line_that_resumes",
        "training/reliability/test_signals.py::test_a_second_ctrl_c_aborts_at_once",
    ],
    "rerun repeats a run": ["cli/test_rerun_command.py::test_a_run_is_repeated_in_another_directory"],
    "the seed is fixed and printed": ["cli/test_manners.py::test_seed_is_fixed_and_printed"],
    "an absent device is refused": ["cli/test_mistakes.py::test_what_is_seen"],
    "a specification from stdin; downloads announced, checked, and refused offline": [
        "cli/test_build.py::test_specification_from_standard_input_is_that_of_the_file",
        "plugins/datasets/test_files.py::test_wrong_content_is_not_kept",
        "cli/test_config_command.py::test_offline_nothing_is_downloaded_and_the_file_to_put_there_is_named",
    ],
    "examples in each help, and hints that can be pasted": [
        "cli/test_help.py::test_examples_are_parsed",
        "cli/test_hints.py::test_commands_in_messages_have_their_options",
    ],
}
"""Each manner → the tests that hold commands to it."""


def test_each_of_thirty_has_its_tests():
    assert len(MANNERS) == 30
    for manner, tests in MANNERS.items():
        for test in tests:
            file, name = test.split("::")
            assert re.search(rf"^def {name}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE), (
                manner
            )


SMALL = ["--encoder", "mlp", "-s", "encoder.hidden=4", "--latent", "2"]


def test_stdout_has_data_alone(genmod):
    genmod("build", *SMALL)
    done = genmod("sample", "-n", "2", "--seed", "3")
    assert done.out == "model/samples/samples.png\n"
    assert "seed 3" in done.err
    assert "warning: model records no training run" in done.err


def test_unknown_name_says_what_failed_to_load(genmod, plant):
    plant("genmod-bad", before="raise RuntimeError('broken')")
    done = genmod("show", "encoder", "cnov")
    assert done.code == 2
    assert "did you mean conv?" in done.err
    assert "genmod plugins" in done.err


def test_one_spelling(genmod):
    """Typed, in a file, in JSON and in Python."""
    Path("own.toml").write_text('latent = 2\n[encoder]\nname = "mlp"\nhidden = [8, 4]\n')
    typed = genmod(
        "build", "--encoder", "mlp", "--latent", "2", "-s", "encoder.hidden=8,4", "-o", "typed", "--json"
    )
    filed = genmod("build", "own.toml", "-o", "filed", "--json")

    from genmod import build

    found = [json.loads(Path("typed/model.json").read_text())["components"]["encoder"]["options"]["hidden"]]
    for done in (typed, filed):
        [part] = [part for part in json.loads(done.out)["parts"] if part["kind"] == "encoder"]
        found.append(part["options"]["hidden"])
    own = build(encoder="mlp", latent=2, settings={"encoder.hidden": [8, 4]})
    assert found == [[8, 4], [8, 4], [8, 4]]
    assert list(own.spec.components["encoder"].options["hidden"]) == [8, 4]


def test_paths_are_those_of_the_caller(genmod, tmp_path):
    before = Path.cwd()
    genmod("build", *SMALL, "-o", "../beside")
    assert (tmp_path / "beside" / "model.json").is_file()
    genmod("sample", "../beside", "-n", "1", "-o", "one.npz")
    assert (before / "one.npz").is_file()
    assert Path.cwd() == before


def test_seed_is_fixed_and_printed(genmod):
    genmod("build", *SMALL)
    files = []
    for out in ("a.npz", "b.npz"):
        done = genmod("sample", "-n", "2", "-o", out)
        assert "seed 0" in done.err
        files.append(Path(out).read_bytes())
    assert files[0] == files[1]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_exit_code_of_the_program_itself():
    done = subprocess.run(
        [sys.executable, "-m", "genmod", "biuld"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "hint: genmod --help"
