"""The report: statistics over seeds, labels, published columns, and a page that is up to date."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.accuracy import report
from benchmarks.accuracy.groups import group, relative_gain
from benchmarks.accuracy.published import load_published
from benchmarks.accuracy.recipe import load_recipe
from benchmarks.accuracy.result import Result, ResultError, load_results

ROOT = Path(__file__).resolve().parents[2]
PAGE = f"before\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n"


def result(forces: float, **changes: Any) -> Result:
    """An invented result; ``changes`` are fields, dotted names for those of sections."""
    errors = {
        **{"structures": 1000, "atoms": 9000, "energy_mae": forces / 4, "energy_rmse": forces / 3},
        **{"energy_per_atom_mae": forces / 36, "energy_per_atom_rmse": forces / 27},
        **{"forces_mae": forces, "forces_rmse": 2 * forces},
    }
    tests = changes.pop("test_names", ["test"])
    content: dict[str, Any] = {
        **{"recipe": "rmd17", "molecule": "ethanol", "dens": False, "seed": 0, "date": "2026-01-01T00:00:00+00:00"},
        **{"commit": "0" * 40, "clean": True, "versions": {}, "data": {}},
        "hardware": {"machine": "processor, 2 logical cores", "gpu": None, "threads": 1},
        "budget": {
            **{"kind": "full", "epochs": 1500, "epochs_of_recipe": 1500},
            **{"max_minutes": None, "max_epochs": None},
        },
        "training": {"steps": 10, "wall_minutes": 90.0, "parameters": 1, "best_validation": {}},
        "tests": dict.fromkeys(tests, errors),
        "config": {"optimizer": {"lr": 0.004}, "seed": changes.get("seed", 0)},
    }
    for name, value in changes.items():
        section, _, field = name.rpartition(".")
        (content[section] if section else content)[field] = value
    return Result.model_validate(content)


REDUCED = {"budget.kind": "reduced", "budget.epochs": 300, "budget.max_minutes": 60.0, "training.wall_minutes": 60.2}


def row(text: str, start: str) -> list[str]:
    """Cells of the only table row that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def section(*results: Result) -> str:
    return report.section(group(results), load_published())


def test_several_seeds_give_mean_and_standard_deviation() -> None:
    values = [2.0, 2.3, 2.9]
    cells = row(section(*(result(value, seed=seed) for seed, value in enumerate(values))), "ethanol")
    energies = [value / 4 for value in values]
    assert cells[1] == f"{mean(energies):.2f} ± {stdev(energies):.2f} / {mean(values):.2f} ± {stdev(values):.2f}"
    assert cells[2:5] == ["no", "3", "full: 1500 epochs, 90 min, 1 thread, AdamW"]


def test_one_seed_has_no_spread() -> None:
    cells = row(section(result(2.4)), "ethanol")
    assert cells[1] == "0.60 / 2.40"
    assert cells[3] == "1"


def test_rows_name_the_optimiser() -> None:
    run = result(2.5, config={"optimizer": {"kind": "muon", "lr": 0.004}})
    assert row(section(run), "ethanol")[4].endswith(", Muon")


def test_reduced_budget_says_so_in_its_row() -> None:
    runs = [result(3.0, seed=seed, **{**REDUCED, "budget.epochs": 300 + 10 * seed}) for seed in (0, 1)]
    assert row(section(*runs), "ethanol")[4] == "reduced: 300–310 of 1500 epochs, 60 min, 1 thread, AdamW"


def test_unmeasured_molecules_have_published_figures_only() -> None:
    text = section(result(2.4))
    for molecule in load_recipe("rmd17").molecules:
        assert (row(text, molecule)[1] == "not run") == (molecule != "ethanol")
    assert row(text, "aspirin")[5:] == ["2.3 / 8.2", "2.3 / 7.3", "2.2 / 6.6"]
    assert row(text, "ethanol")[5:] == ["0.4 / 2.8", "0.4 / 2.1", "0.4 / 2.1"]


def test_main_table_takes_the_full_runs_and_else_the_longest() -> None:
    short = result(9.0, **{**REDUCED, "budget.epochs": 20, "budget.max_minutes": 5.0})
    long = result(3.0, **REDUCED)
    assert row(section(short, long), "ethanol")[1].endswith("/ 3.00")
    assert row(section(short, long, result(2.0)), "ethanol")[1].endswith("/ 2.00")


def test_runs_of_a_former_recipe_are_marked_and_give_way_to_those_of_the_present_one() -> None:
    before = result(2.0, config={"optimizer": {"lr": 0.002}}, **{**REDUCED, "budget.max_minutes": 90.0})
    assert row(section(before), "ethanol")[4].endswith(", former recipe")
    now = result(3.0, **{**REDUCED, "budget.epochs": 100})
    cells = row(section(before, now), "ethanol")
    assert cells[1].endswith("/ 3.00")
    assert "former" not in cells[4]


def test_3bpa_shows_rmse_at_both_temperatures() -> None:
    text = section(result(10.0, recipe="3bpa", molecule=None, test_names=["300 K", "600 K"]))
    assert row(text, "here")[1:3] == ["3.33 / 20.0", "3.33 / 20.0"]
    assert row(text, "MACE L=2")[1:3] == ["3.0 / 8.8", "9.7 / 21.8"]
    assert row(text, "MACE L=0")[1:3] == ["4.5 / 14.6", "13.7 / 33.3"]


def test_catalysts_show_energies_per_atom() -> None:
    text = section(result(36.0, recipe="formate_cu110", molecule=None))
    assert row(text, "formate on Cu(110)")[1:5] == ["36.0", "72.0", "1.00", "1.33"]


def test_dens_gain_and_its_uncertainty() -> None:
    off, on = [3.0, 3.2, 3.4], [2.7, 2.9, 2.8]
    gain, error = relative_gain(off, on)
    assert gain == pytest.approx(1 - mean(on) / mean(off))
    # Against a resampling of the means as normal variables.
    rng = np.random.default_rng(0)
    draws = [rng.normal(mean(values), stdev(values) / 3**0.5, 200_000) for values in (off, on)]
    assert error == pytest.approx(np.std(1 - draws[1] / draws[0]), rel=0.02)
    runs = [result(value, seed=seed, dens=dens) for dens in (False, True) for seed, value in enumerate((off, on)[dens])]
    text = section(*runs)
    table = text[text.index("**DeNS on against off**") :]
    assert row(table, "ethanol")[1:5] == [
        "3.20 ± 0.20",
        "2.80 ± 0.10",
        f"{100 * gain:+.1f} ± {100 * error:.1f} %",
        "3 / 3",
    ]


def test_dens_is_compared_within_one_budget_only() -> None:
    assert relative_gain([3.0], [2.7]) == (pytest.approx(0.1), None)
    text = section(result(2.0), result(3.0, dens=True, **REDUCED))
    assert "DeNS on against off" not in text
    other_machine = {**REDUCED, "hardware.threads": 2}
    text = section(result(2.0, **REDUCED), result(3.0, dens=True, **other_machine))
    assert "DeNS on against off" not in text


def test_compiled_runs_of_so_many_minutes_are_a_row_of_their_own() -> None:
    """They do more epochs in the time; in so many epochs they are the same runs."""
    compiled = {"config": {"optimizer": {"lr": 0.004}, "compile": True}}
    plain, faster = group([result(3.0, **REDUCED), result(2.0, **{**REDUCED, "budget.epochs": 500}, **compiled)])
    assert row(report.section([plain, faster], load_published()), "ethanol")[1].endswith("/ 2.00")
    with pytest.raises(ResultError, match="same seed and budget"):
        group([result(3.0), result(2.0, **compiled)])


def test_uncommitted_changes_are_marked() -> None:
    text = section(result(2.0, clean=False))
    assert row(text, "ethanol")[3] == "1†"
    assert "†:" in text
    assert "†" not in section(result(2.0))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (result(2.5), "same seed"),
        (result(2.5, seed=1, config={"optimizer": {"lr": 0.002}}), r"optimizer\.lr"),
        (result(2.5, dens=True, config={"optimizer": {"lr": 0.002}}), r"optimizer\.lr"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(other: Result, message: str) -> None:
    with pytest.raises(ResultError, match=message):
        group([result(2.0), other])


def test_fields_of_a_newer_version_do_not_split_a_row() -> None:
    newer = {"optimizer": {"lr": 0.004, "momentum": None}, "seed": 1, "max_minutes": 3.0}
    assert len(group([result(2.0), result(2.1, seed=1, config=newer)])) == 1


def test_malformed_result_is_one_error_with_its_name(tmp_path: Path) -> None:
    good = json.loads(result(2.0).model_dump_json())
    del good["tests"]["test"]["forces_mae"]
    for text in ("", "[1]", '{"recipe": "rmd17"', json.dumps(good)):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ResultError, match=r"bad\.json"):
            load_results(tmp_path)


def test_page_is_written_once_and_then_up_to_date(tmp_path: Path) -> None:
    page, results = tmp_path / "page.md", tmp_path / "results" / "accuracy"
    page.write_text(PAGE)
    results.mkdir(parents=True)
    (results / "one.json").write_text(result(2.4).model_dump_json())

    def call(*options: str) -> int:
        return CliRunner().invoke(report.app, ["--page", str(page), "--results", str(results), *options]).exit_code

    assert call("--check") == 1
    assert page.read_text() == PAGE
    assert call() == 0
    assert call("--check") == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert (results.parent / report.FIGURE).read_bytes().startswith(b"\x89PNG")
    (results / "two.json").write_text(result(2.6, seed=1).model_dump_json())
    assert call("--check") == 1


@pytest.mark.parametrize("text", ["", report.BEGIN, f"{report.END}{report.BEGIN}", f"{PAGE}{PAGE}"])
def test_page_without_one_pair_of_markers_is_refused(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    outcome = CliRunner().invoke(report.app, ["--page", str(page), "--results", str(tmp_path)])
    assert outcome.exit_code == 2
    assert page.read_text() == text


def test_page_of_the_repository_is_up_to_date() -> None:
    outcome = CliRunner().invoke(report.app, ["--check"])
    assert outcome.exit_code == 0, outcome.output


def test_published_figures_cover_the_recipes() -> None:
    published = load_published()
    assert set(published["rmd17"].tests) == set(load_recipe("rmd17").molecules)
    assert set(published["3bpa"].tests) == set(load_recipe("3bpa").tests)
    assert all("arXiv:" in source or "doi:" in source for one in published.values() for source in one.sources.values())
