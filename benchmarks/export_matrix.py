"""What the export matrix found, from the reports of its runs: files, refusals with their reasons, differences, minutes.

    pytest -m slow -n1 tests/plugins/formats/test_export_matrix.py --junitxml=matrix.xml
    python benchmarks/export_matrix.py matrix.xml                  # several reports where parts were run alone

It prints the tables of EXPORT.md, and exits with 1 where a case failed.
"""

import argparse
import re
import sys
from collections import Counter, defaultdict
from xml.etree import ElementTree

PARTS = ("encode", "decode", "reconstruct", "sample", "score")
OWN = "test_what_a_file_computes_is_what_the_model_does"
ENCODERS = ("autoencoder-2d", "conv-map", "gated-mlp")  # those with a hyphen in their names


def cases(paths):
    """``(encoder, decoder, part)`` → outcome, reason, difference and seconds of each case."""
    found = {}
    for path in paths:
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            name = re.fullmatch(rf"{OWN}\[(.+)-({'|'.join(PARTS)})\]", case.get("name"))
            if name is None:
                continue
            pair, part = name.groups()
            encoder = next((e for e in ENCODERS if pair.startswith(f"{e}-")), pair.partition("-")[0])
            bad, skipped = case.find("failure"), case.find("skipped")
            bad = case.find("error") if bad is None else bad
            outcome = "failed" if bad is not None else "refused" if skipped is not None else "written"
            reason = (bad if bad is not None else skipped).get("message") if outcome != "written" else ""
            recorded = [p.get("value") for p in case.iter("property") if p.get("name") == "difference"]
            found[encoder, pair[len(encoder) + 1 :], part] = (
                outcome,
                reason,
                float(recorded[0]) if recorded else 0.0,
                float(case.get("time")),
            )
    return found


def show(head, rows):
    print(
        *(f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)),
        sep="\n",
        end="\n\n",
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reports", nargs="+")
    found = cases(parser.parse_args().reports)
    by_encoder = defaultdict(list)
    for (encoder, _, _), case in found.items():
        by_encoder[encoder].append(case)
        by_encoder["all"].append(case)
    rows = []
    for name in sorted(by_encoder, key=lambda name: (name == "all", name)):
        tried = by_encoder[name]
        count = Counter(outcome for outcome, *_ in tried)
        largest, seconds = max(each[2] for each in tried), sum(each[3] for each in tried)
        counts = [len(tried), *(count[kind] for kind in ("written", "refused", "failed"))]
        rows.append([name, *counts, f"{largest:.1e}", f"{seconds / 60:.0f}"])
    show(["encoder", "cases", "written", "refused", "failed", "largest difference", "minutes"], rows)
    reasons = defaultdict(list)
    for (encoder, decoder, part), (outcome, reason, *_) in found.items():
        if outcome != "written":
            reasons[outcome, reason].append((encoder, decoder, part))
    rows = []
    for (outcome, reason), where in sorted(reasons.items()):
        sides = [", ".join(sorted({each[side] for each in where})) for side in range(3)]
        rows.append([outcome, reason.replace("|", "\\|").splitlines()[0], len(where), *sides])
    show(["", "reason", "cases", "encoders", "decoders", "parts"], rows)
    return int(any(outcome == "failed" for outcome, *_ in found.values()))


if __name__ == "__main__":
    sys.exit(main())
