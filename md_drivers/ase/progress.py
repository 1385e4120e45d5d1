"""Terminal display of a relaxation."""

from __future__ import annotations

from rich.console import Console

from md_drivers.ase.results import RelaxStep, StepCallback
from mlff.support.progress import ProgressDisplay


class StepReporter(ProgressDisplay):
    """Prints a line per step (structure, step, energy in eV, fmax in eV/A); a terminal also gets a progress bar.

    Used as a context manager and passed to ``relax`` as ``on_progress``. Calls ``callback``, if given, after printing.
    """

    def __init__(
        self,
        *,
        structures: int,
        steps: int,
        fmax: float,
        callback: StepCallback | None = None,
        console: Console | None = None,
    ) -> None:
        super().__init__("step", total=steps, console=console)
        self._structures, self._steps, self._fmax = structures, steps, fmax
        self._callback = callback
        self._begun: set[int] = set()

    def __call__(self, step: RelaxStep) -> None:
        if step.structure not in self._begun:
            self._begin(step)
        self.line(f"{step.name}  {step.step:5d}  {step.energy:16.6f}  {step.fmax:12.6f}{_more(step)}")
        self.show(step.step, f"fmax {step.fmax:.4f}, threshold {self._fmax:g} eV/Å")
        if self._callback is not None:
            self._callback(step)

    def _begin(self, step: RelaxStep) -> None:
        self._begun.add(step.structure)
        self.begin(self._steps)
        count = f" ({step.structure + 1} of {self._structures})" if self._structures > 1 else ""
        self.line(f"{step.name}: {step.atoms.get_chemical_formula()}{count}")
        columns = f"{'step':>5}  {'energy (eV)':>16}  {'fmax (eV/Å)':>12}{_headings(step)}"
        self.line(f"{'structure':<{len(step.name)}}  {columns}")


def _more(step: RelaxStep) -> str:
    """Its uncertainties, where there are any."""
    return "".join(f"  {x:12.6f}" for x in (step.uncertainty, step.forces_uncertainty) if x is not None)


def _headings(step: RelaxStep) -> str:
    columns = {"σ(E) (eV)": step.uncertainty, "σ(F) (eV/Å)": step.forces_uncertainty}
    return "".join(f"  {heading:>12}" for heading, value in columns.items() if value is not None)
