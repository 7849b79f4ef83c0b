"""`python -m simulation` refuses what makes no sense, and says what does."""

import pytest

from simulation import command
from simulation.defects import DEFECTS


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--seeds", "0"], "from 1 to"),
        (["--seeds", "many"], "from 1 to"),
        (["--from", "-1"], "from 0 to"),
        (["--jobs", "0"], "from 1 to 256"),
        (["--defect", "typo"], "resend-on-timeout"),
        (["--unheard-of"], "unrecognized arguments"),
    ],
)
def test_bad_usage_ends_with_2_and_says_what_is_allowed(
    arguments: list[str], allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert allowed in capsys.readouterr().err


def test_help_names_every_defect(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in DEFECTS)
    assert "make sim SEED=4711" in said
