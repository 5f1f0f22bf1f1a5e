"""The launcher with a stand-in for the interpreter: a script that behaves as the training program does."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.training.adapters.job_process import JobProcess
from services.training.job.log import TrainingProgress
from services.training.job.spec import TrainingSpec
from shared.errors import Cancelled, Internal, InvalidArgument, encode_error

STEP = {"step": 1, "n_steps": 2, "loss": 0.5, "learning_rate": 1e-3, "measured": {"seconds": 0.1}}


def _job(tmp_path: Path, script: str) -> tuple[JobProcess, Path, TrainingSpec]:
    """A launcher whose program is `script`, run in the job's output folder."""
    spec = TrainingSpec(
        model_folder=tmp_path / "base",
        train_file=tmp_path / "train.jsonl",
        image_folder=tmp_path,
        output_folder=tmp_path / "out",
        batch_size=8,
    )
    spec_path = tmp_path / "spec.json"
    spec_path.write_text(spec.model_dump_json())
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncd '{spec.output_folder}'\n{script}\n")
    program.chmod(0o755)
    return JobProcess(str(program)), spec_path, spec


def test_steps_are_reported_in_order(tmp_path: Path) -> None:
    lines = [json.dumps(STEP | {"step": step}) for step in (1, 2)]
    script = "\n".join(f"echo '{line}' >> progress.jsonl" for line in lines) + "\nmkdir model"
    launcher, spec_path, _ = _job(tmp_path, script)
    seen: list[TrainingProgress] = []
    launcher.run(spec_path, seen.append, lambda: False)
    assert seen == [TrainingProgress(step, 2, 0.5, 1e-3) for step in (1, 2)]


@pytest.mark.parametrize(("visible", "seen"), [(None, "0"), ("2,3", "2"), ("GPU-a", "GPU-a"), ("", "")])
def test_a_single_process_sees_one_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, seen: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    launcher, spec_path, spec = _job(tmp_path, 'printf "%s" "$CUDA_VISIBLE_DEVICES" > gpus; mkdir model')
    launcher.run(spec_path, lambda step: None, lambda: False)
    assert (spec.output_folder / "gpus").read_text() == seen


def _jobs(tmp_path: Path, script: str, gpus: list[str]) -> tuple[JobProcess, list[Path]]:
    """A launcher of two jobs, `0` and `1`, whose script writes down its GPU, and runs in the job's output folder."""
    folders = [tmp_path / str(number) for number in range(2)]
    for folder in folders:
        folder.mkdir()
        _job(folder, "")
    program = tmp_path / "program"
    note = 'printf "%s" "$CUDA_VISIBLE_DEVICES" > gpus'
    program.write_text(f'#!/bin/sh\ncd "$(dirname "$3")/out"\n{note}\n{script}\nmkdir model\n')
    program.chmod(0o755)
    return JobProcess(str(program), gpus=gpus), folders


def test_processes_at_the_same_time_have_a_gpu_each(tmp_path: Path) -> None:
    meet = "until [ -s ../../0/out/gpus ] && [ -s ../../1/out/gpus ]; do sleep 0.02; done"
    launcher, folders = _jobs(tmp_path, meet, ["4", "GPU-b"])
    with ThreadPoolExecutor(2) as pool:
        for run in [pool.submit(launcher.run, one / "spec.json", print, lambda: False) for one in folders]:
            run.result()
    assert {(one / "out" / "gpus").read_text() for one in folders} == {"4", "GPU-b"}


def test_a_job_waits_for_a_gpu_that_is_free_and_may_be_called_off_meanwhile(tmp_path: Path) -> None:
    launcher, (first, second) = _jobs(tmp_path, "until [ -e ../../go ]; do sleep 0.02; done", ["4"])
    with ThreadPoolExecutor(1) as pool:
        begun = threading.Event()
        run = pool.submit(launcher.run, first / "spec.json", print, lambda: begun.set() or False)
        assert begun.wait(20)
        asked = iter([False, True])
        with pytest.raises(Cancelled):
            launcher.run(second / "spec.json", print, lambda: next(asked))
        assert not (second / "out" / "gpus").exists()
        (tmp_path / "go").touch()
        run.result()
    launcher.run(second / "spec.json", print, lambda: False)
    assert (second / "out" / "gpus").read_text() == "4"


def test_steps_of_an_earlier_attempt_are_not_reported_again(tmp_path: Path) -> None:
    launcher, spec_path, spec = _job(tmp_path, "mkdir model")
    spec.output_folder.mkdir()
    spec.progress_file.write_text(json.dumps(STEP) + "\n")
    seen: list[TrainingProgress] = []
    launcher.run(spec_path, seen.append, lambda: False)
    assert seen == []


def test_typed_error_of_the_job_is_raised_again(tmp_path: Path) -> None:
    error = encode_error(InvalidArgument("too long", field="id", value="s7", remedy="cut"))
    launcher, spec_path, _ = _job(tmp_path, f"echo '{json.dumps(error)}' > error.json\nexit 1")
    with pytest.raises(InvalidArgument, match="too long") as caught:
        launcher.run(spec_path, lambda step: None, lambda: False)
    assert (caught.value.field, caught.value.value, caught.value.remedy) == ("id", "s7", "cut")


def test_death_without_an_error_carries_the_end_of_the_log(tmp_path: Path) -> None:
    launcher, spec_path, _ = _job(tmp_path, "echo 'out of memory' >&2\nexit 3")
    with pytest.raises(Internal, match=r"code 3 .*out of memory"):
        launcher.run(spec_path, lambda step: None, lambda: False)


def test_end_without_a_result_is_an_error(tmp_path: Path) -> None:
    launcher, spec_path, _ = _job(tmp_path, "exit 0")
    with pytest.raises(Internal, match="no result"):
        launcher.run(spec_path, lambda step: None, lambda: False)


def test_cancelled_job_is_ended(tmp_path: Path) -> None:
    launcher, spec_path, _ = _job(tmp_path, "exec sleep 600")
    with pytest.raises(Cancelled):
        launcher.run(spec_path, lambda step: None, lambda: True)


def test_missing_spec_is_invalid(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        JobProcess().run(tmp_path / "absent.json", lambda step: None, lambda: False)
