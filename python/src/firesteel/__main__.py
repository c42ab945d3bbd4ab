"""`python -m firesteel …` is `firesteel …`."""
import os
import subprocess
import sys

from .embedded import binary

command = [binary(), *sys.argv[1:]]
if os.name == "nt":
    sys.exit(subprocess.call(command))
os.execv(command[0], command)
