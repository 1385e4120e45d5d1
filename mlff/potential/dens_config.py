"""Typed configuration of DeNS."""

from typing import Literal

from pydantic import Field, model_validator

from mlff.support.settings import Section


class DensConfig(Section):
    """Denoising non-equilibrium structures as an auxiliary task (Liao et al., arXiv:2403.09549).

    In a chosen structure some atoms are moved by Gaussian noise; the network sees the forces these atoms had before and
    learns their noise beside the energy of the clean structure and the forces on the other atoms.
    """

    probability: float = Field(default=0.25, gt=0, le=1, description="of corrupting a structure (or a batch)")
    per: Literal["structure", "batch"] = Field(default="structure", description="what one coin decides on")
    atom_fraction: float = Field(default=0.25, gt=0, le=1, description="probability of each atom in such a structure")
    noise_std: float | None = Field(default=None, gt=0, description="Å; 0.05 where no range is given either")
    noise_std_range: tuple[float, float] | None = Field(
        default=None, description="Å; one of 50 log-spaced levels per structure, noise in units of the upper one"
    )
    max_corrupted_fraction: float = Field(
        default=1.0, gt=0, le=1, description="structures with a larger share of chosen atoms stay as they are"
    )
    max_force: float | None = Field(
        default=None, gt=0, description="eV/Å; structures with a larger force on any atom stay as they are"
    )
    encode_forces: bool = Field(default=True, description="false: for ablations only, the task is ill-posed without")
    weight: float = Field(
        default=0.0125,
        gt=0,
        description="of the error of the noise in units of its std; published: λ_DeNS/λ_F·s, "
        "where s in eV is what energies and forces are divided by",
    )
    weight_decay: Literal["none", "linear"] = Field(
        default="none", description="linear: the weight falls to 0 at the end of the run"
    )
    mean: Literal["separate", "joint"] = Field(
        default="separate",
        description="separate: a mean over clean atoms for the forces and one over corrupted atoms for the noise; "
        "joint: one mean over all atoms, in which each carries its own weight",
    )

    @model_validator(mode="after")
    def _one_noise(self) -> "DensConfig":
        if self.noise_std is not None and self.noise_std_range is not None:
            raise ValueError("give noise_std or noise_std_range, not both")
        if self.noise_std_range is not None and not 0 < self.noise_std_range[0] < self.noise_std_range[1]:
            raise ValueError("noise_std_range must be [low, high] with 0 < low < high")
        return self

    @property
    def noise_unit(self) -> float:
        """Å; what the noise is divided by to become the target."""
        if self.noise_std_range is not None:
            return self.noise_std_range[1]
        return 0.05 if self.noise_std is None else self.noise_std
