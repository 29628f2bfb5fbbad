"""Seconds of the processor that `genmod check` needs for every built-in component of some kinds, when torch is warm.

    OMP_NUM_THREADS=1 python benchmarks/kit.py
    OMP_NUM_THREADS=1 python benchmarks/kit.py --kinds prior network --checks

All checks run that `genmod check` runs, with the options at their defaults, in one process: after one component of each kind,
whose seconds do not count, because torch loads what it needs when it is first asked. What needs data is left out.
"""

import argparse
import statistics
import time
from collections import defaultdict

from genmod.registry.lookup import Registry, use_registry
from genmod.testing.prepare import checks_of, prepare
from genmod.testing.runner import run_one

KINDS = ("encoder", "network", "decoder", "posterior", "prior", "divergence", "objective")


def seconds(label, registry):
    """Check → seconds of the processor."""
    cases, registry, _ = prepare(label, registry)
    spent = {}
    with use_registry(registry):
        for case in cases:
            met = {}
            for check in checks_of(case):
                begun = time.process_time()
                run_one(case, check, "", met)
                spent[check.name] = time.process_time() - begun
    return spent


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--checks", action="store_true", help="and the checks that need most")
    parser.add_argument("--each", action="store_true", help="and every component")
    given = parser.parse_args()
    registry = Registry(third_party=False)
    every, by_check = [], defaultdict(list)
    print("| kind | components | median s | slowest |\n|---|---|---|---|")
    for kind in given.kinds:
        labels = [f"{kind}/{provided.name}" for provided in registry.components(kind)]
        seconds(labels[0], registry)
        found = {}
        for label in labels:
            spent = seconds(label, registry)
            found[label] = sum(spent.values())
            for name, each in spent.items():
                by_check[name].append(each)
            if given.each:
                most = sorted(spent.items(), key=lambda pair: -pair[1])[:4]
                print(
                    f"  {label} {found[label]:.2f}: {', '.join(f'{n} {s:.2f}' for n, s in most)}", flush=True
                )
        slowest = max(found, key=found.__getitem__)
        median = statistics.median(found.values())
        print(f"| {kind} | {len(found)} | {median:.1f} | {slowest}: {found[slowest]:.1f} |", flush=True)
        every += found.values()
    print(f"| all | {len(every)} | {statistics.median(every):.1f} | |")
    if given.checks:
        for name, each in sorted(by_check.items(), key=lambda pair: -sum(pair[1]))[:20]:
            print(f"{name}: {sum(each):.1f} s, median {statistics.median(each):.2f}, most {max(each):.1f}")


if __name__ == "__main__":
    main()
