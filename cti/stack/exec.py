"""Run a program that dies with its parent: `python exec.py PARENT_PID SIGNAL PROGRAM ARG…`.

Knows prctl(2) only; imports nothing of ours, because it is run by its path in a bare interpreter, for ~20
ms. The kernel keeps the death signal across execve (PR_SET_PDEATHSIG, prctl(2)): the program itself needs
no help. A wrapper and not `preexec_fn`: Python code between fork and exec may deadlock in a process that
has threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Arm the signal, then become the program. Exit 127 when it cannot be started."""
    parent, signal_number, program = int(argv[1]), int(argv[2]), argv[3]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:  # It died before the signal was armed: nobody would ever stop us.
        os._exit(127)
    try:
        os.execv(program, argv[3:])
    except OSError as error:
        sys.stderr.write(f"{program}: {error.strerror}\n")
        os._exit(127)


if __name__ == "__main__":
    main(sys.argv)
