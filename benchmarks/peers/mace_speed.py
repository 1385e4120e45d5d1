"""Time energy and forces of one frame with random-weight MACE models; JSON on stdout.

    .venv-peers/bin/python benchmarks/peers/mace_speed.py --structure benchmarks/structures/bpa.xyz

With ``--serve`` the script keeps the models and answers requests: ``benchmarks/speed`` sends the name of a model and
reads the milliseconds of one evaluation, so that both sides of a ratio are measured alternately in one run.
Runs in the peers' own environment (mace-torch pins e3nn 0.4.4) and imports nothing of this project.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from statistics import median

import ase.io
import torch

warnings.filterwarnings("ignore")  # e3nn 0.4.4 under a recent torch warns on every import
with redirect_stdout(sys.stderr):  # mace greets on stdout, which belongs to the JSON
    from mace_model import build, to_batch, to_data

MODELS = ("64x0e", "128x0e+128x1o", "128x0e+128x1o+128x2e")


def evaluator(hidden: str, atoms: ase.Atoms, cutoff: float, seed: int) -> tuple[Callable[[], float], int, int]:
    """Return a function that gives the milliseconds of one evaluation, the number of parameters and of edges."""
    torch.manual_seed(seed)
    numbers = sorted(set(atoms.numbers.tolist()))
    graph = to_data(atoms, numbers, cutoff)
    edges = int(graph.edge_index.shape[1])
    model = build(hidden, numbers, cutoff, edges / len(atoms)).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    batch = next(iter(to_batch([graph])))

    def evaluate() -> float:
        inputs = batch.clone().to_dict()
        start = time.perf_counter()
        output = model(inputs, training=False, compute_force=True)
        float(output["energy"]) + float(output["forces"].sum())
        return 1e3 * (time.perf_counter() - start)

    return evaluate, sum(p.numel() for p in model.parameters()), edges


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structure", required=True, help="file that ASE reads; its first frame is timed")
    parser.add_argument("--models", nargs="+", default=list(MODELS), metavar="IRREPS", help="hidden irreps")
    parser.add_argument("--cutoff", type=float, default=5.0, help="A")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", action="store_true", help="answer requests on stdin")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.set_default_dtype(getattr(torch, arguments.dtype))
    atoms = ase.io.read(arguments.structure, index=0)
    header = {
        "package": f"mace-torch {version('mace-torch')}",
        "torch": torch.__version__,
        "threads": arguments.threads,
        "dtype": arguments.dtype,
        "cutoff": arguments.cutoff,
        "seed": arguments.seed,
        "atoms": len(atoms),
        "models": {},
    }
    evaluators = {}
    for hidden in arguments.models:
        evaluators[hidden], parameters, edges = evaluator(hidden, atoms, arguments.cutoff, arguments.seed)
        header["models"][hidden] = {"parameters": parameters}
        header["edges"] = edges
        for _ in range(arguments.warmup):
            evaluators[hidden]()

    if arguments.serve:
        print(json.dumps(header), flush=True)
        for line in sys.stdin:
            print(json.dumps({"ms": evaluators[line.strip()]()}), flush=True)
        return 0
    for hidden, evaluate in evaluators.items():
        times = [evaluate() for _ in range(arguments.repeats)]
        header["models"][hidden] |= {"median_ms": median(times), "min_ms": min(times), "repeats": arguments.repeats}
    print(json.dumps(header, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
