"""Many clients of one server, which is killed twice meanwhile: no change is lost or repeated, and no answer is wrong.

    make bench-clients                                200 clients for ten minutes
    python bench/clients.py --clients 50 --seconds 60

Clients read datasets and run statements, change Delta tables (update, delete, merge, append) and write Parquet files anew. At one
and two thirds of the time the server gets SIGKILL, and starts again on the same data. Prints what was done, and ends with an
error if anything was wrong. tests/test_python_faults.py is a short run of the same.
"""
import argparse
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "python" / "src")]
from support import servers, soak  # noqa: E402


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default=str(servers.binary()))
    options.add_argument("--clients", type=int, default=200)
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--kills", type=int, default=2)
    given = options.parse_args()
    os.environ["FIRESTEEL_BINARY"] = given.binary
    with tempfile.TemporaryDirectory(prefix="firesteel-clients-") as folder:
        run = soak.Soak(folder, given.clients, given.seconds, given.kills)
        faults = run.run()
    print(f"{given.clients} clients, {given.seconds:.0f} seconds")
    print(run.counts.report(run.service.kills, faults))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
