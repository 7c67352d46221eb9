"""What is measured with: the beacons' datagrams, and what /proc says of processes."""

import os
import select
import signal
import socket
import threading
import time

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Listener(threading.Thread):
    """Hears every beacon that starts: "INDEX PID STAMP"."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.changed = threading.Condition()
        self.clear()

    def clear(self):
        with self.changed:
            self.last = {}  # index: (pid, stamp)
            self.starts = []  # (index, pid, stamp), as they came

    def run(self):
        while True:
            index, pid, stamp = (int(word) for word in self.socket.recv(64).split())
            with self.changed:
                self.last[index] = (pid, stamp)
                self.starts.append((index, pid, stamp))
                self.changed.notify_all()

    def wait(self, is_so, seconds_max):
        """Whether it came to be so in time."""
        end = time.monotonic() + seconds_max
        with self.changed:
            while not is_so():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(left)
            return True


def stat(pid):
    """The name of a process, and the fields of its stat from the state on; none if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
    except OSError:
        return None
    return text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()


def everyone():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(root):
    """(pid, name) of all that came from `root` and is alive."""
    children = {}
    for pid in everyone():
        known = stat(pid)
        if known and known[1][0] != "Z":
            children.setdefault(int(known[1][1]), []).append((pid, known[0]))
    found, todo = [], [root]
    while todo:
        for pid, name in children.get(todo.pop(), []):
            found.append((pid, name))
            todo.append(pid)
    return found


def memory_kib(pids):
    """The sums of Rss and Pss."""
    rss = pss = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    if line.startswith("Rss:"):
                        rss += int(line.split()[1])
                    elif line.startswith("Pss:"):
                        pss += int(line.split()[1])
        except OSError:
            pass
    return rss, pss


def processor_s(pids):
    """User and system time together."""
    known = filter(None, map(stat, pids))
    return sum(int(fields[11]) + int(fields[12]) for _, fields in known) / TICKS_A_SECOND


def is_alive(pid):
    known = stat(pid)
    return known is not None and known[1][0] != "Z"


def time_to_end(pid, began, seconds_max):
    """Seconds from `began` (monotonic) to the end of a process, to the microsecond; none if it
    outlives `seconds_max`."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return time.monotonic() - began
    try:
        ended, _, _ = select.select([handle], [], [], seconds_max)
        return time.monotonic() - began if ended else None
    finally:
        os.close(handle)


def kill(*pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def load():
    with open("/proc/loadavg") as file:
        return file.read().split()[0]


def free_ports(count, first=20000):
    """Ports below the range from which systems take the near end of a connection."""
    found = []
    for port in range(first, 32000):
        if len(found) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found
