"""Runs the embedded server for as long as its owner lives. Started by path, with nothing of the package.

    python _guard.py LOG BINARY ARGUMENT…

The owner holds the other end of this process's input. However it ends, by `stop`, by a signal or killed, that end closes; the
server is then told to stop by its process id. When the server ends by itself, so does this.
"""
import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 20


def main() -> int:
    # The owner decides: what the terminal sends to everybody is not for this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(sys.argv[1], "wb") as log:
        server = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        server.terminate()
        try:
            server.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    print(server.pid, flush=True)
    return server.wait()


if __name__ == "__main__":
    sys.exit(main())
