"""Servers that are killed while they write a Delta table."""
import deltalake
from support import delta_writers


def test_killed_writers_lose_and_repeat_nothing(tmp_path):
    path = str(tmp_path / "table")
    done = delta_writers.run(path, seconds=20, writers=6, kill_every=3.0)
    assert done["faults"] == 0 and done["kills"] >= 2 and sum(done["statements"].values()) > 20, done
    assert deltalake.DeltaTable(path).to_pyarrow_table().num_rows == done["rows"]
