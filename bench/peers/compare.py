#!/usr/bin/env python3
"""Compares Windlass with its peers on SQLite, in pairs of one run.

A round goes through all cells, a cell is one peer on one workload: Windlass with every commit synced,
then the peer as durable as it can be, then the peer at `synchronous=NORMAL`. Each figure of a peer is
compared with that of Windlass in the same round; the median of these ratios is the result, since a
slow minute of the machine slows both. In C, where a sync is most of the latency, Windlass also runs at
NORMAL against NORMAL. Rates are compared, not durations: each peer gets as many jobs as
take it some seconds.

Rounds stop early rather than exceed `--minutes`. Nothing but the standard library is needed, and
`cargo` to build.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# Jobs (A, D, E), workflows (B) and samples (C) of one run of a peer: some seconds each. The rate of
# apalis falls with its count, so it gets the small one that suits it.
COUNTS = {
    "effectum": {"A": 50_000, "B": 1, "C": 500, "D": 100_000, "E": 50_000},
    "honker": {"A": 50_000, "B": 1, "C": 500, "D": 100_000, "E": 5_000},
    "apalis": {"A": 1_000, "B": 100, "C": 500, "D": 10_000, "E": 1_000},
    "duroxide": {"A": 400, "B": 60, "C": 500, "D": 2_000, "E": 1_000},
    "pgqrs": {"A": 50_000, "B": 200, "C": 500, "D": 50_000, "E": 2_000},
}

# What Windlass is run with; D gets at least the backlog of the peer.
OURS = {
    "A": ["--jobs", "200000"],
    "B": ["--jobs", "80000"],
    "C": ["--samples", "500"],
    "E": ["--jobs", "50000"],
}
OURS_BACKLOG_MIN = 10_000

ABOUT = {
    "A": "no-op jobs, schedule to done, one producer",
    "B": "workflow of 3 steps, split of 4, join",
    "C": "idle, schedule to start of the handler",
    "D": "no-op jobs against a backlog",
    "E": "no-op jobs, 1,000 producers, each awaiting its acknowledgement",
}

# A run that takes longer is stuck, and is noted as such.
RUN_SECONDS_MAX = 120


class Failed(Exception):
    """A run that gave no figure, with the reason."""


def main():
    args = arguments()
    binaries = {peer: build(HERE / peer, f"peer-{peer}") for peer in args.peers}
    ours = args.ours or build(ROOT, "windlass-bench")
    folder = Path(tempfile.mkdtemp(prefix="windlass-peers-", dir=args.folder))
    try:
        rounds, machine = measure(args, Path(ours), binaries, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cells = summarize(rounds)
    report = {
        "machine": machine,
        "rustc": command_line(["rustc", "--version"]),
        "commit": command_line(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]),
        "rounds_wanted": args.rounds,
        "counts": {peer: COUNTS[peer] for peer in args.peers},
        "ours": OURS,
        "cells": cells,
        "rounds": rounds,
    }
    args.json.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))


def arguments():
    def listed(known):
        def parse(text):
            wanted = [word for word in text.split(",") if word]
            unknown = [word for word in wanted if word not in known]
            if unknown:
                raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")
            return wanted

        return parse

    there = [peer for peer in COUNTS if (HERE / peer / "Cargo.toml").exists()]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers", type=listed(there), default=there, help="default: all")
    parser.add_argument("--workloads", type=listed(list(ABOUT)), default=list(ABOUT))
    parser.add_argument("--durabilities", type=listed(["full", "normal"]), default=["full", "normal"],
                        help="of the peers; Windlass syncs every commit against both")
    parser.add_argument("--both-normal", type=listed(list(ABOUT)), default=["C"], metavar="WORKLOADS",
                        help="where Windlass runs at NORMAL too, against NORMAL (default C)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=20.0,
                        help="no further round begins that would end later (default 20)")
    parser.add_argument("--folder", type=Path, default=Path("."),
                        help="decides the disk that is measured (default: here)")
    parser.add_argument("--ours", type=Path, help="a windlass-bench that is already built")
    parser.add_argument("--json", type=Path, default=Path("comparison.json"))
    return parser.parse_args()


def build(package, name):
    """Builds a binary of a package and says where it is, wherever cargo puts it."""
    say(f"building {name}")
    command = ["cargo", "build", "--release", "--locked", "--message-format=json-render-diagnostics"]
    if package == ROOT:
        command += ["-p", name]
    built = subprocess.run(command, cwd=package, stdout=subprocess.PIPE, text=True, check=True)
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == name:
            return message["executable"]
    raise SystemExit(f"cargo built no {name} in {package}")


def measure(args, ours, binaries, folder):
    """All rounds of all cells, as a flat list; and the machine, as Windlass calls it."""
    cells = [(peer, workload) for workload in args.workloads for peer in args.peers]
    # What turned out to be unsupported, or to be the same at both durabilities, is not run again.
    skipped = set()
    done, machine, begin = [], "", time.monotonic()
    for number in range(args.rounds):
        elapsed = (time.monotonic() - begin) / 60
        if number and elapsed * (number + 1) / number > args.minutes:
            say(f"{number} of {args.rounds} rounds: another would exceed {args.minutes:g} minutes")
            break
        for peer, workload in cells:
            wanted = [d for d in args.durabilities if (peer, workload, d) not in skipped]
            if not wanted:
                continue
            results = run_cell(args, ours, binaries[peer], folder, peer, workload, wanted, skipped)
            for result in results:
                machine = result.pop("machine", machine)
                result["round"] = number + 1
                done.append(result)
                say(line_of(result))
    return done, machine


def run_cell(args, ours, binary, folder, peer, workload, durabilities, skipped):
    """One round of one peer on one workload: the peer first, where it says that it cannot."""
    count = COUNTS[peer][workload]
    try:
        own, machine = run_ours(ours, folder, workload, count)
    except Failed as why:
        return [{"peer": peer, "workload": workload, "failed": f"windlass: {why}"}]
    results, ran_with = [], set()
    for durability in durabilities:
        cell = {"peer": peer, "workload": workload, "durability": durability}
        try:
            theirs = run_peer(binary, folder, workload, count, durability)
        except Failed as why:
            results.append(cell | {"failed": str(why)})
            continue
        if "unsupported" in theirs:
            skipped.update((peer, workload, d) for d in args.durabilities)
            return [theirs]
        pragmas = (theirs["journal_mode"], theirs["synchronous"])
        if pragmas in ran_with:
            # The peer cannot be set; the second run told nothing new.
            skipped.add((peer, workload, durability))
            continue
        ran_with.add(pragmas)
        results.append(pair(cell, own, theirs, machine))
        if durability == "normal" and workload in args.both_normal:
            try:
                relaxed, _ = run_ours(ours, folder, workload, count, "normal")
                results.append(pair(cell, relaxed, theirs, machine))
            except Failed as why:
                results.append(cell | {"failed": f"windlass: {why}"})
    return results


def pair(cell, own, theirs, machine):
    ratio = own["rate"] / theirs["rate"]
    return cell | {"ours": own, "peer_run": theirs, "ratio": ratio, "machine": machine}


def run_ours(binary, folder, workload, count, durability="full"):
    """One round of Windlass."""
    out = folder / "ours.json"
    sizes = OURS.get(workload)
    if workload == "D":
        backlog = str(max(count, OURS_BACKLOG_MIN))
        sizes = ["--backlogs", backlog, "--jobs", backlog]
    databases = folder / "ours"
    call([str(binary), "run", workload, "--durability", durability, "--rounds", "1",
          "--folder", str(databases), "--json", str(out), *sizes])
    report = json.loads(out.read_text())
    figures = {row["figure"]: row for row in report["results"] if row["workload"] == workload}
    shutil.rmtree(databases, ignore_errors=True)
    name = "p50" if workload == "C" else "rate"
    own = {
        "rate": figures[name]["median"],
        "unit": figures[name]["unit"],
        "durability": figures[name]["durability"],
        "sqlite": report["sqlite"],
        "version": report["windlass"],
    }
    if workload == "C":
        own["latency"] = {f"{p}_ms": figures[p]["median"] for p in ("p50", "p90", "p99", "max")}
    return own, report["machine"]


def run_peer(binary, folder, workload, count, durability):
    """One run of a peer: the line of JSON that it prints."""
    database = Path(tempfile.mkdtemp(prefix="peer-", dir=folder))
    try:
        text = call([str(binary), "--workload", workload, "--jobs", str(count), "--workers", "2",
                     "--durability", durability, "--folder", str(database)])
    finally:
        shutil.rmtree(database, ignore_errors=True)
    lines = text.strip().splitlines()
    if len(lines) != 1:
        raise Failed(f"{len(lines)} lines instead of one")
    theirs = json.loads(lines[0])
    if theirs.get("counted") == 0:
        raise Failed(f"no job of {count} was done within {theirs['seconds']:.0f} s")
    return theirs


def call(command):
    """Runs to the end and gives what was printed."""
    # duroxide otherwise writes a warning for each conflict on the lock of the file.
    environment = os.environ | {"RUST_LOG": "off", "RUST_BACKTRACE": "0"}
    try:
        ran = subprocess.run(command, env=environment, capture_output=True, text=True,
                             timeout=RUN_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {RUN_SECONDS_MAX} s") from None
    if ran.returncode:
        raise Failed(f"exit {ran.returncode}: {ran.stderr.strip()[-300:]}")
    return ran.stdout


def summarize(rounds):
    """One entry for each peer, workload and durability, with medians and spreads."""
    groups = {}
    for result in rounds:
        own = result.get("ours", {}).get("durability", "full").lower()
        key = (result["workload"], result["peer"], result.get("durability", ""), own)
        groups.setdefault(key, []).append(result)
    return [summary(key, results) for key, results in sorted(groups.items())]


def summary(key, results):
    workload, peer, durability, own = key
    entry = {"workload": workload, "peer": peer, "asked_for": durability, "ours_ran_with": own}
    unsupported = [r["unsupported"] for r in results if "unsupported" in r]
    if unsupported:
        return entry | {"version": results[0]["version"], "unsupported": unsupported[0]}
    failed = [r["failed"] for r in results if "failed" in r]
    good = [r for r in results if "ratio" in r]
    if failed:
        entry["failed"] = failed
    if not good:
        return entry
    last = good[-1]["peer_run"]
    entry |= {
        "version": last["version"],
        "sqlite": last["sqlite"],
        "ran_with": f"{last['journal_mode'].upper()}, {last['synchronous'].upper()}",
        "settings": last["settings"],
        "unit": last["unit"],
        "count": last["jobs"],
        "rounds": len(good),
        "ours": spread([r["ours"]["rate"] for r in good]),
        "theirs": spread([r["peer_run"]["rate"] for r in good]),
        "ratio": spread([r["ratio"] for r in good]),
    }
    if workload == "C":
        entry["ours_p99"] = spread([r["ours"]["latency"]["p99_ms"] for r in good])
        entry["theirs_p99"] = spread([r["peer_run"]["latency"]["p99_ms"] for r in good])
        ratios = [r["ours"]["latency"]["p99_ms"] / r["peer_run"]["latency"]["p99_ms"] for r in good]
        entry["ratio_p99"] = spread(ratios)
    return entry


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def table(report):
    cells = report["cells"]
    figured = [cell for cell in cells if "ratio" in cell]
    own = next((r["ours"] for r in report["rounds"] if "ours" in r), {})
    peers = sorted({f"{c['peer']} {c['version']} (SQLite {c['sqlite']})" for c in figured})
    lines = [
        f"{report['machine']}; {report['rustc']}",
        f"windlass {own.get('version', '?')} at {report['commit']} (SQLite {own.get('sqlite', '?')}); "
        + ", ".join(peers),
        "",
        "Medians, least to most in brackets. Ratio: windlass / peer in the same round, its median; "
        "for C less is better.",
        "",
        "| workload | peer | peer ran with | windlass ran with | count | windlass | peer "
        "| windlass / peer | rounds |",
        "|---|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for cell in figured:
        unit = cell["unit"] + (" p50" if cell["workload"] == "C" else "")
        lines.append(row(cell, unit, cell["ours"], cell["theirs"], cell["ratio"]))
        if cell["workload"] == "C":
            lines.append(row(cell, "ms p99", cell["ours_p99"], cell["theirs_p99"], cell["ratio_p99"]))
    lines += ["", *(f"- {letter}: {ABOUT[letter]}" for letter in sorted({c["workload"] for c in cells}))]
    for cell in cells:
        name = f"{cell['peer']}, {cell['workload']}"
        if "unsupported" in cell:
            lines.append(f"- {name}: {cell['unsupported']}")
        lines += [f"- {name} {cell['asked_for']}, a round failed: {why}" for why in cell.get("failed", [])]
    return "\n".join(lines)


def row(cell, unit, ours, theirs, ratio):
    columns = [cell["workload"], cell["peer"], cell["ran_with"],
               f"WAL, {cell['ours_ran_with'].upper()}", f"{cell['count']:,}",
               f"{ranged(ours)} {unit}", f"{ranged(theirs)} {unit}", ranged(ratio), str(cell["rounds"])]
    return f"| {' | '.join(columns)} |"


def ranged(values):
    median, least, most = (number(values[name]) for name in ("median", "min", "max"))
    return f"{median} ({least}–{most})"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def line_of(result):
    head = f"{result['workload']} {result['peer']} {result.get('durability', '')}"
    if result.get("ours", {}).get("durability", "full").lower() == "normal":
        head += ", windlass too"
    if "ratio" not in result:
        return f"{head}: {result.get('unsupported') or result.get('failed')}"
    theirs = result["peer_run"]
    return (f"{head}: windlass {number(result['ours']['rate'])}, {result['peer']} "
            f"{number(theirs['rate'])} {theirs['unit']}, ratio {number(result['ratio'])}")


def command_line(command):
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.stdout.strip()


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
