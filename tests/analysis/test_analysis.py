"""The whole analysis of dynamics with known answers (see conftest)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import mdtraj
import numpy as np
import pytest

from mlff.analysis import Analysis, AnalysisError, AnalysisSettings, Ensemble, analyse
from mlff.analysis.analyse import _plateau, common_interval
from mlff.analysis.controls import NO_OP, SHUFFLED, WALK
from mlff.analysis.curves import kinetic_curves
from mlff.analysis.ensemble import in_order_of
from mlff.analysis.targets import Target, geometry_rates, targets

MakeTrajectories = Callable[..., list[Any]]
QUICK = AnalysisSettings(splits=20, bootstrap=20, clusters=20, lags=(1.0, 2.0, 4.0), tica_lag=2.0, markov_lag=2.0)
RELAXATION = -1 / np.log(1 - 0.02 - 0.01)  # ps
FREE_ENERGY = np.log(2)  # kT, from 0.02 and 0.01


@pytest.fixture(scope="module")
def same(reference: Ensemble, jumping: MakeTrajectories) -> Analysis:
    """The same process with other random numbers."""
    return analyse(reference, Ensemble.of("same", jumping(12, 2000, (0.02, 0.01), 20), 1.0), QUICK)


@pytest.fixture(scope="module")
def other(reference: Ensemble, jumping: MakeTrajectories) -> Analysis:
    """Three times slower, with equal populations."""
    return analyse(reference, Ensemble.of("other", jumping(12, 2000, (0.005, 0.005), 3), 1.0), QUICK)


def all_targets(analysis: Analysis) -> list[Target]:
    rates = (geometry_rates(analysis, m) for m in (analysis.measured, analysis.generated_measured))
    return targets(analysis, *rates)


def limits(analysis: Analysis) -> dict[str, bool]:
    return {target.name: target.passed for target in all_targets(analysis)}


def test_known_kinetics_are_found(same: Analysis) -> None:
    for measured in (same.measured, same.generated_measured):
        curves = kinetic_curves(same, measured)
        np.testing.assert_allclose(curves.timescales.value[:, 0], RELAXATION, rtol=0.25)
        # TIC1 is ψ's basin; half-width of its fluctuation is small against the distance of the basins
        assert curves.relaxation == pytest.approx(RELAXATION, rel=0.3)
        np.testing.assert_allclose(curves.observed, curves.predicted, atol=0.02)
    large, small = same.kinetics.basins
    counts = same.measured.total("clusters")
    assert np.log(counts[large].sum() / counts[small].sum()) == pytest.approx(FREE_ENERGY, abs=0.25)
    times = same.kinetics.times(same.kinetics.model(same.measured.total("transitions")))
    np.testing.assert_allclose(times[-2:], [1 / 0.01, 1 / 0.02], rtol=0.25)


def test_the_same_process_keeps_every_limit_but_those_of_length(same: Analysis) -> None:
    kept = limits(same)
    assert not kept.pop("jumps of the shortest replica")
    assert not kept.pop("replicas")
    assert all(kept.values()), kept
    for metric in same.metrics:
        if metric.unit == "nats":
            assert metric.matched.median <= metric.floor.high, metric.name


@pytest.mark.parametrize(("frames", "kept"), [(10_000, True), (9_999, False)])
def test_every_frame_is_a_jump(same: Analysis, frames: int, kept: bool) -> None:
    """Rollouts have no frame of their start."""
    replicas = tuple(SimpleNamespace(n_frames=frames) for _ in range(16))
    found = limits(replace(same, generated=replace(same.generated, trajectories=replicas)))
    assert found["jumps of the shortest replica"] == kept
    assert found["replicas"]


def test_what_cannot_be_measured_is_missed(same: Analysis) -> None:
    def missed(analysis: Analysis) -> list[str]:
        return [
            target.name
            for target in all_targets(analysis)
            if target.required and target.verdict == "not measured" and not target.passed
        ]

    assert missed(same) == []
    unresolved = replace(same, kinetics=replace(same.kinetics, resolved=0))
    assert missed(unresolved) == ["implied timescales, none of MD is longer than the lag"]
    without = replace(same, metrics=tuple(metric for metric in same.metrics if metric.group != "torsions"))
    assert missed(without) == ["divergence of φ and ψ over the noise floor (none in this molecule)"]
    # The generated frames never cross between the basins.
    stuck = replace(same, metrics=tuple(replace(m, value=np.inf) if m.name == "t1" else m for m in same.metrics))
    assert [name.split(",")[0] for name in missed(stuck)] == ["implied timescales"]
    assert len(all_targets(unresolved)) == len(all_targets(without)) == len(all_targets(same))


@pytest.mark.parametrize(("lost", "kept"), [(0.0, True), (1.0, False), (float("nan"), False)])
def test_explosions_miss_a_required_limit(same: Analysis, lost: float, kept: bool) -> None:
    assert not any("exploded" in target.name for target in all_targets(same))  # nothing is known of them
    found = all_targets(replace(same, generated=replace(same.generated, lost=lost)))
    target = next(target for target in found if "exploded" in target.name)
    assert target.required
    assert target.passed == kept


@pytest.mark.parametrize(
    ("times", "place"),
    [
        ([20.0, 28.0, 30.0, 31.0, 30.0], 1),
        ([20.0, 25.0, 30.0, 31.0, 90.0], 2),  # 90 ps at a lag of 50 ps is chance
        ([20.0, np.nan, 30.0, np.inf, np.nan], 2),
        ([np.nan, 1.0, 1.0, 1.0, 1.0], 1),  # nothing is resolved: the shortest lag with a model
        ([np.nan] * 5, 0),
    ],
)
def test_the_plateau_is_not_sought_in_noise(times: list[float], place: int) -> None:
    assert _plateau(np.array(times), np.array([1.0, 2.0, 5.0, 10.0, 50.0])) == place


def test_another_process_is_told_apart(same: Analysis, other: Analysis) -> None:
    assert other.metric("t1").value == pytest.approx(-1 / np.log(0.99) / RELAXATION, rel=0.3)
    assert other.metric("ΔG between the basins, difference").value == pytest.approx(FREE_ENERGY, abs=0.25)
    assert other.metric("psi ALA 2").ratio > 2
    assert other.metric("transition matrix").matched.median > other.metric("transition matrix").floor.high
    assert same.metric("transition matrix").ratio == pytest.approx(1.0, abs=0.5)
    # φ does not jump in either: its distribution is the same
    assert other.metric("phi ALA 2").ratio < 2
    missed = {name for name, passed in limits(other).items() if not passed}
    assert any("timescales" in name for name in missed)
    assert any("psi" in name for name in missed)


def test_controls_fail_what_they_must(same: Analysis) -> None:
    t1, psi, bonds = (same.metric(name) for name in ("t1", "psi ALA 2", "bond lengths"))
    assert t1.controls[SHUFFLED] > 5
    assert psi.controls[SHUFFLED] == pytest.approx(0, abs=1e-12)
    assert t1.controls[NO_OP] == np.inf
    assert psi.controls[NO_OP] > 5 * psi.floor.median
    assert bonds.controls[WALK] > 0.3
    matrix = same.metric("transition matrix")
    assert matrix.unit == "nats"
    assert matrix.controls[SHUFFLED] > 5 * matrix.floor.high
    assert matrix.controls[NO_OP] == pytest.approx(np.log(2))
    assert same.metric("RMSF, rms difference").controls[WALK] > 10 * same.metric("RMSF, rms difference").value
    shuffled = same.metric("autocorrelation time of TIC1").controls[SHUFFLED]
    assert shuffled > 5


def test_broken_frames_are_counted_and_kept(reference: Ensemble, jumping: MakeTrajectories) -> None:
    trajectories = jumping(2, 600, (0.02, 0.01), 4)
    trajectories[0].xyz[:5] = np.nan
    trajectories[0].xyz[5:10, 0] += 3.0
    trajectories[1].xyz[:7] *= [1, 1, -1]
    analysis = analyse(
        reference, Ensemble.of("broken", trajectories, 1.0), QUICK.model_copy(update={"controls": False})
    )
    rates = geometry_rates(analysis, analysis.generated_measured)
    assert rates["inverted"].value == pytest.approx(12 / 1200)  # a frame without numbers has no right hand either
    assert rates["valid"].value <= 1 - 17 / 1200
    assert analysis.generated_measured.total("torsions").sum(-1).tolist() == [1200, 1200]
    assert np.isfinite(analysis.metric("psi ALA 2").value)
    assert not limits(analysis)["frames with inverted stereocentres"]


def test_fit_and_comparison_use_the_splits(reference: Ensemble) -> None:
    """Coordinates come from training trajectories, the comparison from test trajectories, with matching intervals."""
    labelled = replace(reference, splits=("train",) * 5 + ("val",) + ("test",) * 6)
    generated = Ensemble.of("other", [part[::2] for part in reference.trajectories[:6]], 2.0)
    settings = QUICK.model_copy(update={"lags": (2.0, 4.0, 8.0), "controls": False})
    analysis = analyse(labelled, generated, settings)
    assert analysis.caution == ""
    assert analysis.fitted.labels == reference.labels[:5]
    assert analysis.reference.labels == reference.labels[6:]
    assert analysis.thinning == 2
    assert analysis.reference.interval == 2.0
    assert analysis.reference.frames == 6 * 1000
    assert analysis.metric("t1").value < 1.6


def test_a_comparison_with_what_was_fitted_says_so(same: Analysis) -> None:
    assert "come from the same MD that is compared with" in same.caution
    assert "the model may have been trained on" in same.caution
    held_out = replace(same, reference=replace(same.reference, held_out=True))
    assert "come from the same MD that is compared with" in held_out.caution
    assert "trained" not in held_out.caution


@pytest.mark.parametrize(("a", "b", "both"), [(1.0, 10.0, 10.0), (0.4, 1.0, 2.0), (2.0, 5.0, 10.0), (0.1, 0.1, 0.1)])
def test_common_intervals(a: float, b: float, both: float) -> None:
    assert common_interval(a, b) == common_interval(b, a) == pytest.approx(both)


def test_wrong_input_is_one_clear_error(reference: Ensemble, jumping: MakeTrajectories) -> None:
    short = Ensemble.of("short", jumping(1, 150, (0.02, 0.01), 5), 1.0)
    with pytest.raises(AnalysisError, match=r"short: 150 frames .* too few"):
        analyse(reference, short, QUICK)
    with pytest.raises(AnalysisError, match=r"no common range of lag times.*short has 150 ps"):
        analyse(reference, Ensemble.of("short", short.trajectories, 1.0), AnalysisSettings(lags=(50.0, 80.0, 100.0)))
    with pytest.raises(AnalysisError, match=r"lag of 3 ps is no multiple of 2 ps.*1 ps in MD, 2 ps in coarse"):
        analyse(
            reference, Ensemble.of("coarse", reference.trajectories, 2.0), QUICK.model_copy(update={"lags": (3.0,)})
        )
    with pytest.raises(AnalysisError, match="no common range"):
        analyse(reference, Ensemble.of("odd", reference.trajectories, 0.997), AnalysisSettings())
    with pytest.raises(AnalysisError, match="no trajectories"):
        Ensemble.of("nothing", [], 1.0)
    with pytest.raises(AnalysisError, match="interval between frames must be positive"):
        Ensemble.of("nothing", reference.trajectories, 0.0)
    bad = reference.trajectories[0][:]
    bad.xyz[7, 2, 1] = np.nan
    with pytest.raises(AnalysisError, match=r"MD: trajectory 0 .* no numbers"):
        analyse(Ensemble.of("MD", [bad], 1.0), reference, QUICK)


def test_atoms_of_a_residue_may_come_in_another_order(reference: Ensemble, dipeptide: Any) -> None:
    """As a PDB file from elsewhere has them, and with the name that other programs give to the methyl of NME."""
    order = [2, 1, 0, 7, 6, 5, 4, 3, 9, 8]
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for residue in dipeptide.topology.residues:
        added = topology.add_residue(residue.name, chain)
        for atom in (dipeptide.topology.atom(i) for i in order):
            if atom.residue.index == residue.index:
                topology.add_atom(
                    "CH3" if (residue.name, atom.name) == ("NME", "C") else atom.name, atom.element, added
                )
    shuffled = Ensemble.of("other", [mdtraj.Trajectory(dipeptide.xyz[:, order], topology)], 1.0)
    np.testing.assert_array_equal(in_order_of(reference, shuffled).trajectories[0].xyz, dipeptide.xyz)


def test_other_molecules_are_refused_by_the_first_atom_that_differs(reference: Ensemble, dipeptide: Any) -> None:
    def part(unwanted: Callable[[Any], bool]) -> Any:
        return dipeptide.atom_slice([a.index for a in dipeptide.topology.atoms if not unwanted(a)])

    def message(trajectory: Any) -> str:
        with pytest.raises(AnalysisError, match="different molecules") as error:
            analyse(reference, Ensemble.of("other", [trajectory], 1.0), QUICK)
        return str(error.value)

    glycine = part(lambda atom: atom.name == "CB")
    glycine.topology.residue(1).name = "GLY"
    assert re.search(r"MD has an atom N in ALA 2 .*, but other has GLY 2 .* in this place", message(glycine))
    shorter = part(lambda atom: atom.residue.name == "NME")
    assert re.search(r"MD has an atom N in NME 3 .*, but other ends before this residue", message(shorter))
