#!/usr/bin/env python3
"""Measures supervisors: started by `run`, which builds what it needs. README.md has the method."""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time

import table
from measure import Listener, free_ports, is_alive, kill, load, memory_kib, processor_s, time_to_end
from supervisors import ALL, STOP_MAX_S, Castellan

SETTLE_S = 4
PROBED_S = 30
CRASH_LOOP_S = 30
RESPAWN_MAX_S = 20
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def main():
    options = parse()
    listener = Listener()
    listener.start()
    results = {"machine": machine(), "supervisors": {}}
    for kind in ALL:
        if (options.only and kind.name not in options.only.split(",")) or not kind.is_there(options):
            continue
        entry = results["supervisors"].setdefault(kind.name, {"note": kind.note, "load_before": load()})
        for count in options.sizes:
            kills = options.kills if count in (1, max(options.sizes)) else 0
            attempt(entry, f"at_{count}", lambda: at_size(kind, options, listener, count, kills))
        if kind is Castellan and max(options.sizes) >= 50:
            attempt(entry, "probed", lambda: probed(options, listener, max(options.sizes)))
        if options.behaviour:
            entry["behaviour"] = {}
            for measure in (death, tree, crash_loop, stubborn):
                attempt(entry["behaviour"], measure.__name__, lambda: measure(kind, options, listener))
        entry["load_after"] = load()
        with open(options.out, "w") as file:
            json.dump(results, file, indent=1)
    print(table.render(results))


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("work", "beacon", "floor", "tokio-floor", "out"):
        parser.add_argument("--" + name, required=True)
    for name in ("castellan", "circusd", "pm2"):
        parser.add_argument("--" + name)
    parser.add_argument("--only", help="names, parted by commas")
    parser.add_argument("--sizes", default="1,50,500", type=lambda text: [int(size) for size in text.split(",")])
    parser.add_argument("--kills", type=int, default=20, help="how many, with one child and with the most")
    parser.add_argument("--idle", type=float, default=10, help="seconds over which idle CPU is measured")
    parser.add_argument("--behaviour", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    return options


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
    return {"processors": os.cpu_count(), "model": model, "kernel": os.uname().release}


def attempt(entry, name, measure):
    """One that goes wrong is said to, and spoils no other."""
    try:
        entry[name] = measure()
    except Exception as error:  # whatever a supervisor of somebody else does
        entry[name] = {"error": repr(error)}
    print(f"{name:12} {entry[name]}", file=sys.stderr, flush=True)


class Running:
    """A supervisor with its beacons, for as long as one looks at it."""

    def __init__(self, kind, options, listener, count, mode="sleep", **more):
        self.supervisor = kind(options, listener.port)
        self.supervisor.prepare(count, mode, **more)
        self.listener = listener
        listener.clear()

    def __enter__(self):
        self.began = time.monotonic_ns()
        print(f"{self.supervisor.name}:", end=" ", file=sys.stderr, flush=True)
        self.supervisor.start()
        return self.supervisor

    def __exit__(self, *_):
        self.supervisor.teardown()
        time.sleep(1)


def at_size(kind, options, listener, count, kills):
    found = {"load": load()}
    running = Running(kind, options, listener, count)
    with running as supervisor:
        whole = listener.wait(lambda: len(listener.last) >= count, supervisor.start_max_s)
        found["started"] = len(listener.last)
        if whole:
            last = max(stamp for _, stamp in listener.last.values())
            found["start_ms"] = round((last - running.began) / 1e6, 2)
        time.sleep(SETTLE_S)
        pids = supervisor.pids()
        found["processes"] = len(pids)
        found["rss_kib"], found["pss_kib"] = memory_kib(pids)
        found["idle_cpu_percent"] = idle(supervisor, options.idle)
        if kills and whole:
            found["respawn_ms"] = respawns(supervisor, listener, count, kills)
            found["rss_kib_after_kills"], found["pss_kib_after_kills"] = memory_kib(supervisor.pids())
    return found


def idle(supervisor, seconds):
    pids = supervisor.pids()
    before = processor_s(pids)
    time.sleep(seconds)
    return round((processor_s(pids) - before) / seconds * 100, 2)


def respawns(supervisor, listener, count, kills):
    """Milliseconds from just before the kill to the first instruction of the next child."""
    times, missed = [], 0
    for turn in range(kills):
        index = (turn * 37) % count
        pid, _ = listener.last[index]
        began = time.monotonic_ns()
        kill(pid)
        if listener.wait(lambda: listener.last[index][0] != pid, RESPAWN_MAX_S):
            times.append(round((listener.last[index][1] - began) / 1e6, 3))
        else:
            missed += 1
        if count < kills:
            supervisor.forgive(index)
        # Out of step with any loop that polls, and no child has lived less than a second.
        time.sleep(random.uniform(2.0, 3.2))
    if not times:
        return {"missed": missed}
    return {"median": statistics.median(times), "min": min(times), "max": max(times), "missed": missed, "all": times}


def probed(options, listener, count):
    """What it costs to ask each of `count` children for its health every 10 s."""
    ports = free_ports(count)
    with Running(Castellan, options, listener, count, "http", ports=ports) as supervisor:
        listener.wait(lambda: len(listener.last) >= count, supervisor.start_max_s)
        ready, end = 0, time.monotonic() + 60
        while ready < count and time.monotonic() < end:
            time.sleep(1)
            states = (supervisor.snapshot() or {"components": []})["components"]
            ready = sum(state["phase"] == "ready" for state in states)
        if ready < count:
            return {"error": f"{ready} of {count} became ready"}
        time.sleep(SETTLE_S)
        pids = supervisor.pids()
        rss, pss = memory_kib(pids)
        return {"rss_kib": rss, "pss_kib": pss, "cpu_percent": idle(supervisor, PROBED_S)}


def death(kind, options, listener):
    """The supervisor is killed with SIGKILL, and started again: whose are its children?"""
    count = 10
    with Running(kind, options, listener, count) as supervisor:
        if not listener.wait(lambda: len(listener.last) >= count, 60):
            return {"error": "not started"}
        time.sleep(2)
        before = {index: pid for index, (pid, _) in listener.last.items()}
        kill(supervisor.pids()[0])
        time.sleep(2)
        survive = sum(map(is_alive, before.values()))
        listener.clear()
        helpers = [supervisor.root]
        supervisor.start()
        found = {"children": count, "survive_it": survive}
        if kind is Castellan:
            found["adopted_after_ms"] = adopted(supervisor, before)
        time.sleep(10)
        after = set(listener.last)
        found["same_after_restart"] = sum(is_alive(pid) for index, pid in before.items() if index not in after)
        found["doubled_after_restart"] = sum(is_alive(pid) for index, pid in before.items() if index in after)
        found["started_anew"] = len(after)
        kill(*helpers, *before.values())
        return found


def adopted(supervisor, before):
    """Milliseconds until castellan says that it keeps every child it had."""
    began = time.monotonic()
    while time.monotonic() - began < 20:
        states = (supervisor.snapshot() or {"components": []})["components"]
        kept = {state["name"]: state["pid"] for state in states if state["phase"] == "ready"}
        if all(kept.get(f"b{index}") == pid for index, pid in before.items()):
            return round((time.monotonic() - began) * 1000, 1)
        time.sleep(0.01)
    return None


def tree(kind, options, listener):
    """One with two grandchildren is stopped by the supervisor's own tool."""
    with Running(kind, options, listener, 1, "spawn") as supervisor:
        if not listener.wait(lambda: {0, 100000, 200000} <= set(listener.last), 30):
            return {"error": "not started"}
        if not supervisor.stop_words(0):
            return None
        time.sleep(2)
        child, near, far = (listener.last[index][0] for index in (0, 100000, 200000))
        subprocess.run(supervisor.stop_words(0), timeout=40, **QUIET)
        time.sleep(STOP_MAX_S + 2)
        found = {
            "stopped": not is_alive(child),
            "leaves_one_in_the_group": is_alive(near),
            "leaves_one_in_a_session_of_its_own": is_alive(far),
        }
        kill(near, far)
        return found


def crash_loop(kind, options, listener):
    """A child that ends with 1 at once."""
    with Running(kind, options, listener, 1, "crash") as supervisor:
        time.sleep(CRASH_LOOP_S)
        stamps = [stamp for _, _, stamp in listener.starts]
        gaps = [round((later - earlier) / 1e6, 1) for earlier, later in zip(stamps, stamps[1:])]
        return {
            "starts": len(stamps),
            "cpu_s": round(processor_s(supervisor.pids()), 2),
            "first_gaps_ms": gaps[:8],
        }


def stubborn(kind, options, listener):
    """One that ignores SIGTERM is stopped: how long after the deadline does it end?"""
    with Running(kind, options, listener, 1, "stubborn") as supervisor:
        if not listener.wait(lambda: 0 in listener.last, 30):
            return {"error": "not started"}
        if not supervisor.stop_words(0):
            return None
        time.sleep(2)
        pid = listener.last[0][0]
        began = time.monotonic()
        tool = subprocess.Popen(supervisor.stop_words(0), **QUIET)
        took = time_to_end(pid, began, 30)
        tool.kill()
        tool.wait()
        kill(pid)
        if took is None:
            return {"killed_after_s": None}
        late = round((took - STOP_MAX_S) * 1000, 1) if kind.has_stop_max else None
        return {"killed_after_s": round(took, 3), "late_ms": late}


if __name__ == "__main__":
    main()
