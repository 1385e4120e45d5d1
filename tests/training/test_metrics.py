from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlff.potential.training.metrics import Predictions, error_sums, errors_by_element, errors_from_sums
from mlff.potential.training.report import element_table, plot_learning_curve, write_evaluation

NAMES = ("energy", "forces", "stress")


def two_structures() -> Predictions:
    reference = np.zeros((3, 3))
    predicted = np.array([[0.3, 0.0, 0.0], [0.0, -0.6, 0.0], [0.0, 0.0, 0.9]])
    return Predictions(
        num_atoms=np.array([2, 1]),
        numbers=np.array([8, 29, 8]),
        values={"energy": (np.array([-10.0, 2.0]), np.array([-9.0, 4.0])), "forces": (reference, predicted)},
        counted=np.ones(3, dtype=bool),
    )


def test_errors_against_hand_numbers() -> None:
    errors = errors_from_sums(error_sums(two_structures(), NAMES), NAMES)
    assert errors["energy_per_atom_mae"] == pytest.approx((0.5 + 2.0) / 2)
    assert errors["energy_per_atom_rmse"] == pytest.approx(((0.25 + 4.0) / 2) ** 0.5)
    assert errors["forces_mae"] == pytest.approx(1.8 / 9)
    assert errors["forces_rmse"] == pytest.approx(((0.09 + 0.36 + 0.81) / 9) ** 0.5)
    assert not any(name.startswith("stress") for name in errors)


def test_errors_by_element() -> None:
    oxygen, copper = errors_by_element(two_structures())
    assert (oxygen["element"], oxygen["atoms"]) == ("O", 2)
    assert oxygen["mae"] == pytest.approx(1.2 / 6)
    assert (copper["element"], copper["atoms"]) == ("Cu", 1)
    assert copper["rmse"] == pytest.approx((0.36 / 3) ** 0.5)
    table = element_table([oxygen, copper], errors_from_sums(error_sums(two_structures(), NAMES), NAMES))
    assert "| Cu | 1 | 200.0 | 346.4 | 0.0 |" in table
    assert "| all | 3 | 200.0 |" in table


@pytest.mark.usefixtures("real_figures")
def test_evaluation_writes_its_files(tmp_path: Path) -> None:
    content = write_evaluation(tmp_path / "out", two_structures())
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"elements.md", "parity_energy.png", "parity_forces.png"}
    assert (content["structures"], content["atoms"]) == (2, 3)
    table = tmp_path / "metrics.csv"
    table.write_text("step,epoch,minutes,val_loss,val_forces_mae\n4,1,0.5,2.0,0.5\n8,2,1.0,1.0,0.25\n")
    plot_learning_curve(table, tmp_path / "curve.png", ["energy", "forces"])
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "parity_forces.png").read_bytes().startswith(b"\x89PNG")
