"""Names of the package that are imported when they are first used."""

import subprocess
import sys


def test_rooms_are_names_of_the_package_and_others_are_not():
    code = (
        "import genmod, sys; assert 'torch' not in sys.modules; assert 'distributions' in dir(genmod); "
        "print(genmod.distributions.logit_of.__name__, hasattr(genmod, 'training_of_mine'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["logit_of", "False"]
