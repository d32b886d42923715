"""What the programs of this folder have in common: running others, interleaving, and tables of ratios."""
import json
import statistics
import subprocess
import sys


def run(command):
    """What it printed. A command that fails ends the program with all that it said."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def bench(program, device, workload, size, depth, seconds, core, *more):
    """IOPS of `spdkio bench` on one core."""
    result = json.loads(run([program, "bench", device, "--workload", workload, "--io-size", str(size), "--queue-depth",
                             str(depth), "--time", str(seconds), "--cores", f"[{core}]", "--overwrite", "--json", *more]))
    totals = result["jobs"][0]["totals"]
    return totals["read"]["iops"] + totals["write"]["iops"]


def interleave(pairs, runners):
    """Each of the named functions so many times, A B A B; gives the results by name."""
    results = {name: [] for name in runners}
    for _ in range(pairs):
        for name, runner in runners.items():
            results[name].append(runner())
    return results


def ratios(a, b):
    """Median, minimum and maximum of the ratios of runs that were neighbours."""
    found = sorted(x / y for x, y in zip(a, b))
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def thousands(values):
    return f"{statistics.median(values) / 1e3:,.0f} k"


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        values = dict(line.split(":", 1) for line in file)
    return int(values["VmRSS"].split()[0]) / 1024


class Table:
    """Rows are shown as they come, and all in columns at the end."""

    def __init__(self, *header):
        self.header = header
        self.rows = []

    def add(self, *row):
        self.rows.append(row)
        print(" | ".join(row), file=sys.stderr)

    def print(self):
        widths = [max(len(row[i]) for row in [self.header, *self.rows]) for i in range(len(self.header))]
        for row in [self.header, tuple("-" * width for width in widths), *self.rows]:
            print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
