// From what the caller gives to checked edges, sorted by target, and their division among blocks of atoms and threads.
#pragma once
#include <limits>

#include "geometry.hpp"

namespace mlff {

/// Pairs may be farther apart than the cutoff, as those of a neighbour list with a skin; in any order.
struct Input {
    int64_t atoms, structures, pairs;
    const double* positions;         // [N, 3] Å
    const double* cells;             // [B, 3, 3] Å, rows are lattice vectors
    const double* shifts;            // [P, 3] lattice vectors to add to the source
    const int64_t *source, *target;  // [P]
    const int64_t* batch;            // [N] structure of each atom
    const int32_t* species;          // [N] rows of the embedding
    const double* closest;           // [species, species] Å, what counts as close; or null
};

/// Null where not wanted.
struct Output {
    double* energy;    // [B] eV
    double* energies;  // [N] eV
    double* forces;    // [N, 3] eV/Å
    double* virial;    // [B, 3, 3] eV, dE/dε
    void* features;    // [N, head] inputs of the last layer, of the model's type
    uint8_t* missing;  // [layers+1, species, species] tables that have to be made first
    double shortest;   // Å, the shortest edge
    int64_t edges;     // within the cutoff
    int64_t close;     // of them closer than `closest`
};

enum Status { kDone = 0, kWrongInput = 1, kMissingTables = 2, kFailed = 3 };

constexpr int kEdgesOfChunk = 96;  // whose rows stay in the second-level cache

/// Consecutive targets whose edges are worked on together.
struct Chunk {
    int64_t first, last;  // atoms
};
struct AtomBlock {
    int64_t first, last;
    std::vector<Chunk> chunks;
};

template <class T>
struct Graph {
    int64_t atoms, edges = 0;
    std::vector<int64_t> start;           // [N+1] first edge of each target
    std::vector<int64_t> source, target;  // [E]
    std::vector<int32_t> pair;            // [E] of elements
    std::vector<double> vector;           // [E, 3] Å
    std::vector<T> direction, distance, envelope, envelope_slope;
    std::vector<T> wigner;               // [E, wigner_size]
    std::vector<T> torque, by_distance;  // gradients
    std::vector<AtomBlock> blocks;
    std::vector<int> first_block;  // of each thread
    int largest_chunk = 0, largest_block = 0;

    /// Error text, or null. Nothing of the input is used as an index before it was checked here.
    const char* build(const Model<T>& model, const Input& in, Output& out, int threads) {
        const Sizes& s = model.sizes;
        atoms = in.atoms;
        for (int64_t i = 0; i < 3 * in.atoms; i++)
            if (!std::isfinite(in.positions[i])) return "positions are not finite";
        for (int64_t i = 0; i < 9 * in.structures; i++)
            if (!std::isfinite(in.cells[i])) return "a cell is not finite";
        for (int64_t i = 0; i < in.atoms; i++) {
            if (in.species[i] < 0 || in.species[i] >= s.species) return "an element is not known to the model";
            if (in.batch[i] < 0 || in.batch[i] >= in.structures) return "an atom is of a structure that is not there";
        }
        start.assign(atoms + 1, 0);
        kept_.clear();
        kept_.reserve(in.pairs);
        out.shortest = std::numeric_limits<double>::infinity();
        out.close = 0;
        for (int64_t p = 0; p < in.pairs; p++) {
            const int64_t j = in.source[p], i = in.target[p];
            if (j < 0 || j >= atoms || i < 0 || i >= atoms) return "an edge leads to an atom that is not there";
            const double *cell = in.cells + 9 * in.batch[i], *n = in.shifts + 3 * p;
            Candidate edge{j, i, {}, 0};
            double squared = 0;
            for (int k = 0; k < 3; k++) {
                edge.vector[k] = in.positions[3 * j + k] - in.positions[3 * i + k] + n[0] * cell[k] +
                                 n[1] * cell[3 + k] + n[2] * cell[6 + k];
                squared += edge.vector[k] * edge.vector[k];
            }
            if (!std::isfinite(squared)) return "the vector of an edge is not finite";
            if (squared >= s.cutoff * s.cutoff) continue;
            edge.distance = std::sqrt(squared);
            if (!(T(edge.distance) > 0)) return "two atoms of an edge are at the same place";
            out.shortest = std::min(out.shortest, edge.distance);
            if (in.closest && edge.distance < in.closest[in.species[j] * s.species + in.species[i]]) out.close++;
            kept_.push_back(edge);
            start[i + 1]++;
        }
        out.edges = edges = int64_t(kept_.size());
        for (int64_t i = 0; i < atoms; i++) start[i + 1] += start[i];
        resize(wigner_size(s.lmax));
        std::vector<int64_t> next(start.begin(), start.end() - 1);
        for (const Candidate& edge : kept_) {
            const int64_t e = next[edge.target]++;
            source[e] = edge.source, target[e] = edge.target;
            pair[e] = in.species[edge.source] * s.species + in.species[edge.target];
            distance[e] = T(edge.distance);
            for (int k = 0; k < 3; k++) {
                vector[3 * e + k] = edge.vector[k];
                direction[3 * e + k] = T(edge.vector[k] / edge.distance);
            }
        }
        divide(threads);
        return nullptr;
    }

    /// Which tables are needed and not there; false: none.
    bool missing_tables(const Model<T>& model, uint8_t* missing) const {
        std::vector<uint8_t> seen(model.pairs(), 0);
        for (int64_t e = 0; e < edges; e++) seen[pair[e]] = 1;
        bool any = false;
        for (int layer = 0; layer <= model.sizes.layers; layer++)
            for (int p = 0; p < model.pairs(); p++) {
                missing[layer * model.pairs() + p] = seen[p] && !model.table(layer, p);
                any = any || missing[layer * model.pairs() + p];
            }
        return any;
    }

    /// Envelopes and frames of the edges first ... last - 1.
    void frames(const Model<T>& model, int64_t first, int64_t last) {
        const int size = wigner_size(model.sizes.lmax);
        const T cutoff = T(model.sizes.cutoff);
        for (int64_t e = first; e < last; e++) {
            mlff::envelope(distance[e] / cutoff, &envelope[e], &envelope_slope[e]);
            envelope_slope[e] /= cutoff;
            wigner_blocks(model.sizes.lmax, model.couplings, &direction[3 * e], &wigner[size * e]);
            by_distance[e] = torque[3 * e] = torque[3 * e + 1] = torque[3 * e + 2] = 0;
        }
    }

   private:
    struct Candidate {
        int64_t source, target;
        double vector[3], distance;
    };
    std::vector<Candidate> kept_;

    void resize(int size) {
        source.resize(edges), target.resize(edges), pair.resize(edges);
        vector.resize(3 * edges), direction.resize(3 * edges), distance.resize(edges);
        envelope.resize(edges), envelope_slope.resize(edges), wigner.resize(size * edges);
        torque.resize(3 * edges), by_distance.resize(edges);
    }

    /// Blocks of at most 24 atoms, cut into chunks; each thread gets consecutive blocks with about as many edges.
    void divide(int threads) {
        blocks.clear();
        largest_chunk = largest_block = 0;
        const int64_t limit = std::max<int64_t>(1, std::min<int64_t>(24, (atoms + threads - 1) / threads));
        for (int64_t first = 0; first < atoms; first += limit) {
            AtomBlock block{first, std::min(first + limit, atoms), {}};
            for (int64_t i = block.first; i < block.last; i++) {
                const bool fits =
                    !block.chunks.empty() && start[i + 1] - start[block.chunks.back().first] <= kEdgesOfChunk;
                if (fits)
                    block.chunks.back().last = i + 1;
                else
                    block.chunks.push_back({i, i + 1});
                const Chunk& chunk = block.chunks.back();
                largest_chunk = std::max(largest_chunk, int(start[chunk.last] - start[chunk.first]));
            }
            largest_block = std::max(largest_block, int(block.last - block.first));
            blocks.push_back(block);
        }
        first_block.assign(threads + 1, int(blocks.size()));
        first_block[0] = 0;
        const double share = double(edges + 8 * atoms) / threads;
        for (int b = 0, thread = 1; b < int(blocks.size()) && thread < threads; b++)
            while (thread < threads && start[blocks[b].last] + 8 * blocks[b].last >= share * thread)
                first_block[thread++] = b + 1;
    }
};

}  // namespace mlff
