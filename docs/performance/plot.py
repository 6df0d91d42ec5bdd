#!/usr/bin/env python3
# Draws the plots of docs/performance.md from the JSON files of `windlass-bench`.
#
# Requirements: Python 3.9 or newer, matplotlib>=3.8
#
#   windlass-bench sweep backlog --json backlog.json
#   windlass-bench sweep bulk    --json bulk.json
#   windlass-bench sweep runners --json runners.json
#   windlass-bench run C         --json latency.json
#   python docs/performance/plot.py backlog.json bulk.json runners.json latency.json --out docs/performance
#
# Each file is recognised by what is in it: a sweep becomes <sweep>.svg, a run with workload C
# becomes latency.svg. Two files of the same sweep (one per durability, say) share a plot.
"""Draws throughput against a setting, and the distribution of latencies, as SVG."""

import argparse
import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
# The same input gives the same file, and text stays text.
matplotlib.rcParams["svg.hashsalt"] = "windlass"
matplotlib.rcParams["svg.fonttype"] = "none"

import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

WIDTH, HEIGHT = 7.0, 4.2  # inches
LOGARITHMIC = {"backlog", "bulk", "capacity"}
COLOURS = {"full": "#1f6f8b", "normal": "#d1793f"}


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("files", nargs="+", type=pathlib.Path, help="JSON files of windlass-bench")
    words.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."), help="folder for the plots")
    args = words.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    sweeps, latencies = {}, []
    for file in args.files:
        found = json.loads(file.read_text(encoding="utf-8"))
        if "sweep" in found:
            sweeps.setdefault(found["sweep"], []).append(found)
        elif any(row["workload"] == "C" for row in found.get("results", [])):
            latencies.append(found)
        else:
            sys.exit(f"{file} is neither a sweep nor a run of workload C: nothing to draw")

    for name, found in sweeps.items():
        save(draw_sweep(name, found), args.out / f"{name}.svg")
    if latencies:
        save(draw_latency(latencies), args.out / "latency.svg")


def draw_sweep(name, found):
    """Medians as a line, the slowest and fastest round as a band, raw SQLite as a dashed line."""
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT))
    for durability, points in by_durability(found):
        points.sort(key=lambda point: point["at"])
        at = [point["at"] for point in points]
        colour = COLOURS[durability]
        axes.plot(at, [p["median"] for p in points], "o-", color=colour, label=f"Windlass, {durability.upper()}")
        axes.fill_between(at, [p["min"] for p in points], [p["max"] for p in points], color=colour, alpha=0.2, linewidth=0)
        raw = [(p["at"], p["raw"]["median"]) for p in points if "raw" in p]
        if raw:
            axes.plot(*zip(*raw), "s--", color=colour, alpha=0.6, label=f"raw SQLite, {durability.upper()}")
    if name in LOGARITHMIC:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(found[0]["about"])
    axes.set_ylabel(found[0]["unit"])
    axes.yaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    finish(axes, found[0], "throughput against " + found[0]["about"])
    return figure


def by_durability(found):
    points = {}
    for one in found:
        for point in one["points"]:
            points.setdefault(point["durability"], []).append(point)
    return sorted(points.items())


def draw_latency(found):
    """How many of the jobs had started after how long; one line for each kind and durability."""
    figure, axes = plt.subplots(figsize=(WIDTH + 2.5, HEIGHT))
    styles = {
        "p50": ("-", "one process"),
        "across processes p50": ("--", "across two processes"),
        "one commit p50": (":", "one commit of raw SQLite"),
    }
    for one in found:
        for row in one["results"]:
            if row["workload"] != "C" or row["figure"] not in styles or "samples" not in row:
                continue
            style, name = styles[row["figure"]]
            samples = sorted(row["samples"])
            share = [100 * (n + 1) / len(samples) for n in range(len(samples))]
            label = f"{name}, {row['durability'].upper()}"
            axes.plot(samples, share, style, color=COLOURS[row["durability"]], label=label)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:g}"))
    axes.set_xlabel("milliseconds from schedule to the start of the step")
    axes.set_ylabel("% of the jobs")
    # Six lines cross the whole plot: the legend stands beside it.
    finish(axes, found[0], "latency on an idle engine", legend="center left", anchor=(1.01, 0.5))
    return figure


def finish(axes, found, title, legend="best", anchor=None):
    settings = found["settings"]
    axes.set_title(title)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(fontsize="small", loc=legend, bbox_to_anchor=anchor)
    where = f"{found['machine']} · SQLite {found['sqlite']} · history {settings['history']} · payload {settings['payload_bytes']} bytes"
    axes.figure.text(0.01, 0.005, where, fontsize=6, color="#666666")
    axes.figure.tight_layout(rect=(0, 0.02, 1, 1))


def save(figure, path):
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    print(path)


if __name__ == "__main__":
    main()
