#!/usr/bin/env python3
"""Prints the tables of a run: `table.py RESULTS.json`."""

import json
import sys

FLOOR = "floor-tokio"
RSS_MAX_KIB = 16 * 1024


def render(results):
    entries = results["supervisors"]
    sizes = sorted({int(key[3:]) for entry in entries.values() for key in entry if key.startswith("at_")})
    most = max(sizes, default=0)
    parts = [
        f"{results['machine']['processors']} processors, {results['machine']['model']}, "
        f"Linux {results['machine']['kernel']}",
        costs(entries, sizes, most),
        behaviour(entries),
        aims(entries, most),
    ]
    return "\n\n".join(filter(None, parts))


def get(entry, *path):
    """What is there, or none."""
    for word in path:
        if not isinstance(entry, dict) or word not in entry:
            return None
        entry = entry[word]
    return entry


def number(value, digits=1, unit=""):
    return "-" if value is None else f"{value:,.{digits}f}{unit}"


def ratio(value, floor):
    return "-" if value is None or not floor else f"{value / floor:.1f}x"


def rows(head, lines):
    table = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in table)


def costs(entries, sizes, most):
    floor = entries.get(FLOOR, {})
    head = ["supervisor"]
    for size in sorted({1, most} & set(sizes)):
        head += [f"respawn with {size}, ms: median (least to most)", f"to {FLOOR}"]
    head += [f"start of {most}, ms", f"to {FLOOR}", *(f"RSS/PSS MiB, {size}" for size in sizes)]
    head += [f"RSS to {FLOOR}", f"processes, {most}", f"idle CPU, {most}, %", "load"]
    lines = []
    for name, entry in entries.items():
        line = [name]
        for size in sorted({1, most} & set(sizes)):
            found = get(entry, f"at_{size}", "respawn_ms")
            median = get(found, "median")
            around = f" ({number(found['min'])} to {number(found['max'])})" if median else ""
            line += [number(median, 2) + around, ratio(median, get(floor, f"at_{size}", "respawn_ms", "median"))]
        start = get(entry, f"at_{most}", "start_ms")
        line += [number(start, 0), ratio(start, get(floor, f"at_{most}", "start_ms"))]
        for size in sizes:
            rss, pss = get(entry, f"at_{size}", "rss_kib"), get(entry, f"at_{size}", "pss_kib")
            line.append("-" if rss is None else f"{rss / 1024:.1f}/{pss / 1024:.1f}")
        line.append(ratio(get(entry, f"at_{most}", "rss_kib"), get(floor, f"at_{most}", "rss_kib")))
        line.append(get(entry, f"at_{most}", "processes") or "-")
        line += [number(get(entry, f"at_{most}", "idle_cpu_percent")), get(entry, f"at_{most}", "load") or "-"]
        lines.append(line)
    return rows(head, lines)


def behaviour(entries):
    head = [
        "supervisor", "of 10 children, kill -9 of it: live on / then kept / doubled / started anew",
        "stop leaves: same group / own session", "starts in 30 s of a crash loop", "its CPU s",
        "first gaps, ms", "ignores TERM: killed after, s", "past the deadline, ms",
    ]
    lines = []
    for name, entry in entries.items():
        found = entry.get("behaviour")
        if not found:
            continue
        left = [get(found, "tree", key) for key in ("leaves_one_in_the_group", "leaves_one_in_a_session_of_its_own")]
        death = [get(found, "death", key) for key in (
            "survive_it", "same_after_restart", "doubled_after_restart", "started_anew")]
        gaps = get(found, "crash_loop", "first_gaps_ms") or []
        lines.append([
            name, " / ".join("-" if value is None else str(value) for value in death),
            " / ".join("-" if value is None else "yes" if value else "no" for value in left),
            get(found, "crash_loop", "starts"), number(get(found, "crash_loop", "cpu_s"), 2),
            ", ".join(number(gap, 0) for gap in gaps[:5]) or "-",
            number(get(found, "stubborn", "killed_after_s"), 2), number(get(found, "stubborn", "late_ms")),
        ])
    return rows(head, lines) if lines else ""


def aims(entries, most):
    """What castellan aims at, beside what was seen."""
    ours, floor, s6 = entries.get("castellan"), entries.get(FLOOR, {}), entries.get("s6", {})
    if ours is None:
        return ""
    lines = []

    def aim(what, seen, is_met, shown):
        verdict = "not measured" if seen is None else "met" if is_met(seen) else "MISSED"
        lines.append([what, "-" if seen is None else shown(seen), verdict])

    def quotient(*path, of=floor):
        value, base = get(ours, *path), get(of, *path)
        return value / base if value is not None and base else None

    for size in sorted({1, most}):
        seen = quotient(f"at_{size}", "respawn_ms", "median")
        aim(f"respawn with {size}: at most 2x {FLOOR}", seen, lambda x: x <= 2, lambda x: f"{x:.2f}x")
    seen = get(ours, f"at_{most}", "rss_kib")
    aim(f"RSS with {most}: at most 16 MiB", seen, lambda x: x <= RSS_MAX_KIB, lambda x: f"{x / 1024:.1f} MiB")
    seen = get(ours, "probed", "rss_kib")
    aim(f"RSS with {most}, probed: at most 16 MiB", seen, lambda x: x <= RSS_MAX_KIB, lambda x: f"{x / 1024:.1f} MiB")
    seen = quotient(f"at_{most}", "start_ms")
    aim(f"start of {most}: less than 3x {FLOOR}", seen, lambda x: x < 3, lambda x: f"{x:.2f}x")
    seen = quotient(f"at_{most}", "start_ms", of=s6)
    aim(f"start of {most}: faster than s6", seen, lambda x: x < 1, lambda x: f"{x:.2f}x")
    seen = get(ours, f"at_{most}", "idle_cpu_percent")
    aim(f"idle CPU with {most}, no probes: 0.0 %", seen, lambda x: x < 0.05, lambda x: f"{x:.2f} %")
    seen = get(ours, "probed", "cpu_percent")
    aim(f"CPU with {most} http probes each 10 s: at most 1 %", seen, lambda x: x <= 1, lambda x: f"{x:.2f} %")
    seen = get(ours, "behaviour", "stubborn", "late_ms")
    aim("ignores TERM: killed at its deadline + 50 ms", seen, lambda x: 0 <= x <= 50, lambda x: f"+{x:.1f} ms")
    seen = get(ours, "behaviour", "tree")
    left = None if seen is None or "error" in seen else sum(value for key, value in seen.items() if key != "stopped")
    aim("stop leaves no grandchild", left, lambda x: x == 0, str)
    seen = get(ours, "behaviour", "death", "same_after_restart")
    aim("killed and started again: keeps all 10 children", seen, lambda x: x == 10, str)
    return rows(["castellan's aims", "seen", ""], lines)


if __name__ == "__main__":
    with open(sys.argv[1]) as results_file:
        print(render(json.load(results_file)))
