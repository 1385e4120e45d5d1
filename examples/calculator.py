"""The calculator in ten lines: CO2 above Ni(100) with a pretrained model."""

from ase.build import add_adsorbate, fcc100, molecule

from md_drivers import MLFFCalculator

atoms = fcc100("Ni", (3, 3, 4), a=3.545, vacuum=7.5, periodic=True)
add_adsorbate(atoms, molecule("CO2"), height=4.0, position="hollow")
atoms.calc = MLFFCalculator("co2-ni100")
print(f"energy {atoms.get_potential_energy():.3f} eV, largest force {abs(atoms.get_forces()).max():.2f} eV/Å")
print(atoms.calc.neighbor_statistics)
