// NuclearRepulsion: the ZBL pair energy, switched off at the sum of the covalent radii.
#pragma once
#include "geometry.hpp"

namespace mlff {

/// Energy (eV) and its derivative (eV/Å) of a pair at `distance` (Å): Z Z' e²/d φ(d/a) u(d/reach).
///
/// `zbl` holds e² (eV Å), the length of the screening function (Å), its four amplitudes and its four rates.
inline double repulsion(const std::vector<double>& zbl, double charge, double other, double reach, double distance,
                        double* slope) {
    *slope = 0;
    if (distance >= reach) return 0;
    const double length = zbl[1] / (std::pow(charge, 0.23) + std::pow(other, 0.23)), x = distance / length;
    double screening = 0, screening_slope = 0, u, u_slope;
    for (int k = 0; k < 4; k++) {
        const double term = zbl[2 + k] * std::exp(-zbl[6 + k] * x);
        screening += term;
        screening_slope -= zbl[6 + k] * term / length;
    }
    envelope(distance / reach, &u, &u_slope);
    const double bare = zbl[0] * charge * other / distance;
    *slope = bare * (screening_slope * u + screening * u_slope / reach - screening * u / distance);
    return bare * screening * u;
}

}  // namespace mlff
