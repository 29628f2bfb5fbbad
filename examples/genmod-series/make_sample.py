"""Write genmod_series/tide.csv: heights of water in metres at two places, every hour for 120 days, with gaps.

    python make_sample.py

The tides of the moon (12.42 hours) and of the sun (12 hours) reach the second place later and weaker; wind adds an
autoregressive surge to both. Each gauge stands still now and then.
"""

import argparse
import math
import random
from datetime import datetime, timedelta
from pathlib import Path

HOURS = 120 * 24
PLACES = {"harbour": (1.0, 0.0), "river": (0.6, 2.5)}
"""Share of the tide, and its delay in hours."""


def lines() -> list[str]:
    """The lines of the file, the same on every machine."""
    generator = random.Random(1)
    start, surge, still = datetime(2024, 1, 1), 0.0, dict.fromkeys(PLACES, 0)
    found = [",".join(["time", *PLACES])]
    for hour in range(HOURS):
        surge = 0.97 * surge + 0.04 * generator.gauss(0, 1)
        cells = [(start + timedelta(hours=hour)).isoformat(timespec="minutes")]
        for place, (share, delay) in PLACES.items():
            t = hour - delay
            tide = 1.6 * math.cos(2 * math.pi * t / 12.4206) + 0.5 * math.cos(2 * math.pi * t / 12)
            height = share * tide + surge + 0.03 * generator.gauss(0, 1)
            if still[place] == 0 and generator.random() < 0.004:
                still[place] = generator.randint(3, 30)
            cells.append("" if still[place] else f"{height:.2f}")
            still[place] = max(0, still[place] - 1)
        found.append(",".join(cells))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "genmod_series" / "tide.csv")
    parser.parse_args().out.write_text("\n".join(lines()) + "\n", encoding="utf-8")
