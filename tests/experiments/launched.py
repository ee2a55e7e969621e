"""What the launcher starts in its tests: processes that do not need jax."""

import signal
import sys
import threading


def main(how: str, index: int) -> None:
    print(f"here is {index}", flush=True)
    if how == "status" and index == 1:
        print("no such file", file=sys.stderr)
        sys.exit(7)
    if how == "killed" and index == 2:
        signal.raise_signal(signal.SIGKILL)
    if how == "told" and index < 2:
        sys.exit(1)
    if how != "well":
        threading.Event().wait()  # for ever


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[-1]))
