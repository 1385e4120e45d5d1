"""The files of a run."""

from __future__ import annotations

from pathlib import Path

from mlff.data import DatasetStatistics, DataSplits
from mlff.training.report import write_json


class RunFolder:
    """Names of the files of a run.

    Args:
        root: folder of the run; created when the run starts.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config.yaml"
        self.metrics = self.root / "metrics.csv"
        self.state = self.root / "checkpoints" / "last.pt"
        self.weights = self.root / "weights.safetensors"
        self.report = self.root / "report"
        self.data_record = self.report / "data.json"

    def write_data_record(self, splits: DataSplits, statistics: DatasetStatistics) -> None:
        """Write which frames each part holds, the hashes of the files and the statistics of the training part."""
        self.report.mkdir(parents=True, exist_ok=True)
        parts = {"train": splits.train, "val": splits.val, "test": splits.test}
        content = {
            "files": splits.fingerprint.to_dict(),
            "split": {
                name: [{"file": f.source.name, "index": int(f.index)} for f in frames] for name, frames in parts.items()
            },
            "left_out_for_large_forces": splits.left_out,
            "statistics": statistics.model_dump(mode="json"),
        }
        write_json(self.data_record, content)
