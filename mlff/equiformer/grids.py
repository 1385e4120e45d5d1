"""The sphere grids that a configuration asks for."""

from mlff.equiformer.config import EquiformerConfig
from mlff.irreps import SphereGrid, minimal_resolution


def sphere_grid(config: EquiformerConfig, mmax: int | None) -> SphereGrid:
    """Grid for edge rows with |m| ≤ mmax, or for node rows where mmax is None."""
    points = config.grid_resolution
    resolution: tuple[int, int] | None = None
    if points == "minimal":
        resolution = minimal_resolution(config.lmax, mmax)
    elif points is not None:
        resolution = (points, points)
    return SphereGrid(config.lmax, mmax, resolution, rescale=config.rescale_orders and mmax is not None)
