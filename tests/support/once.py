"""What several test processes share on this machine is made by one of them."""
import contextlib
import fcntl


@contextlib.contextmanager
def alone(folder):
    """No other process is in this block for the same folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f".{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
