"""The benchmark of the monthly run, in the size that CI has time for: all of it exact to the cent."""

import subprocess
import sys

import pytest
from django.conf import settings


@pytest.mark.slow
@pytest.mark.thorough
def test_a_thousand_coaches_are_paid_to_the_cent_within_the_targets(subprocess_env: dict[str, str]) -> None:
    options = ["--coaches", "1000", "--no-limit", "--database", subprocess_env["DATABASE_URL"]]
    done = subprocess.run(
        [sys.executable, "-m", "bin.bench_payouts", *options],
        cwd=settings.BASE_DIR, check=False, timeout=180, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, "MISSED" in done.stdout) == (0, False), done.stdout + done.stderr
    assert "1000 coaches, 30000 payments" in done.stdout
