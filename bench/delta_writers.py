"""Writers of one Delta table, whose servers are killed: no row may be lost or duplicated.

    python bench/delta_writers.py --binary … --seconds 300 --writers 8
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from support import delta_writers  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the firesteel binary")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--table", help="folder of the table that they write (otherwise a temporary one)")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=5, help="seconds between kills")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.binary:
        os.environ["FIRESTEEL_BINARY"] = options.binary
    with tempfile.TemporaryDirectory(prefix="firesteel-writers-") as folder:
        done = delta_writers.run(
            options.table or f"{folder}/table", options.seconds, options.writers, options.servers, options.kill_every, options.seed
        )
    print(json.dumps(done, indent=1))


if __name__ == "__main__":
    main()
