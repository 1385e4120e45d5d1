"""The model card of an imported checkpoint, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlff.graph import describe_neighbors
from mlff.potential import PotentialConfig
from mlff.potential.training.card import describe_backbone


def imported_card(
    name: str, config: PotentialConfig, origin: Mapping[str, Any], parameters: int, licence: str | None
) -> str:
    """Markdown text that says what is known of a checkpoint, and what is not.

    Args:
        name: of the model.
        config: of the potential.
        origin: file, hash, options and normalisation as the command records them in ``model.pt``.
        parameters: their number.
        licence: of the model, if the user named it.
    """
    weights = "moving averages" if origin["averaged_weights"] else "as trained; the file holds no moving averages"
    training = ", ".join(f"{key} {origin[key]:g}" for key in ("epoch", "step") if key in origin) or "not recorded"
    references = "added for each atom" if origin["reference_energies"] else "none"
    rows = {
        "file": f"`{origin['file']}`",
        "SHA-256": f"`{origin['sha256']}`",
        "architecture": f"`{origin['model']}`; here: {describe_backbone(config.backbone)}",
        "parameters": f"{parameters:,}",
        "weights": weights,
        "training": training,
        "energy": f"{origin['energy_std']:g} · output {origin['energy_mean']:+g} eV per structure",
        "forces": f"direct; {origin['force_std']:g} · output, eV/Å",
        "reference energies": references,
        "cutoff": f"{config.cutoff:g} Å, {describe_neighbors(config.max_neighbors, config.max_neighbors_strict)}",
        "elements": f"atomic numbers {config.species[0]} to {config.species[-1]}",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    remarks = [
        "The file does not say what its energies are relative to, nor which elements its data held: see its source.",
        "Forces are an output of their own, not the gradient of the energy, and the number of neighbours is capped: "
        "made for relaxations, not for dynamics that must conserve energy.",
    ]
    if origin["energy_mean"] != 0.0:
        remarks.append(
            "Energies are not extensive: the mean above is added once per structure, whatever its size. Compare "
            "structures with equal numbers of atoms."
        )
    remarks_text = "\n".join(f"- {remark}" for remark in remarks)
    return f"""# {name}

Imported from a checkpoint of the public EquiformerV2 code by `mlff import-equiformer-v2`.
Licence of the model: {licence or "not stated; it is that of the checkpoint, see its source"}.

| | |
|---|---|
{table}

## How to use it

```python
from md_drivers import MLFFCalculator

atoms.calc = MLFFCalculator("model.pt")
energy, forces = atoms.get_potential_energy(), atoms.get_forces()  # eV, eV/Å
```

## What to know

{remarks_text}
"""
