"""What this machine is, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from adapterstilts import machine
from adapterstilts.errors import EnvironmentFault, UsageError


def test_an_unknown_device_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'gpu' is not a device"):
        machine.find_device("gpu")


def test_a_device_that_is_not_there_is_a_fault_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_cuda", lambda: False)
    assert machine.find_device("auto") == "cpu"
    with pytest.raises(EnvironmentFault):
        machine.find_device("cuda")


def test_cuda_is_taken_where_it_is_unless_the_cpu_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_cuda", lambda: True)
    assert [machine.find_device(wanted) for wanted in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]


def test_devices_can_be_named_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_cuda", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-ab,6")
    assert machine.find_devices("cuda:2,1") == machine.Devices("cuda", ("6", "GPU-ab"))
    assert machine.find_devices("cpu:0,1,2") == machine.Devices("cpu", ("0", "1", "2"))
    assert machine.find_devices("auto") == machine.Devices("cuda")
    with pytest.raises(EnvironmentFault, match="--device cuda:0,3,7: no CUDA device 3, 7: 3 visible"):
        machine.find_devices("cuda:0,3,7")


def test_named_gpus_have_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_cuda", lambda: False)
    with pytest.raises(EnvironmentFault, match="--device cuda: no CUDA device is visible"):
        machine.find_devices("cuda:0,1")


@pytest.mark.parametrize(
    "wanted", ["cuda:", "cuda:0,", "cuda:0-3", "cpu:a", "auto:0,1", "cuda:0, 1", "cuda:-1", "gpu"]
)
def test_a_list_of_devices_has_one_spelling(wanted: str) -> None:
    with pytest.raises(UsageError, match=f"--device: '{wanted}'"):
        machine.find_devices(wanted)


def test_a_device_is_named_once() -> None:
    with pytest.raises(UsageError, match="'cpu:1,01' names a device twice"):
        machine.find_devices("cpu:1,01")


def test_hidden_devices_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not machine.has_cuda()


@pytest.mark.parametrize(
    ("device", "flags", "expected"),
    [("cpu", {"avx512_bf16"}, "bf16"), ("cpu", {"avx2"}, "fp32"), ("cuda", set(), "bf16")],
)
def test_bf16_only_where_it_is_native(
    device: str, flags: set[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(flags))
    assert machine.auto_precision(device) == expected


@pytest.mark.parametrize(
    ("chosen", "names"), [("2,5", ["2", "5"]), (" GPU-ab , 1", ["GPU-ab", "1"]), ("", []), ("-1", [])]
)
def test_devices_have_the_names_by_which_they_are_chosen(
    monkeypatch: pytest.MonkeyPatch, chosen: str, names: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert machine.cuda_devices() == names


def test_versions_name_what_computes() -> None:
    assert {"python", "torch", "adapters", "transformers"} <= set(machine.versions())
    assert "missing" not in machine.versions().values()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_taken_again() -> None:
    """A large block that was freed is reused, so touching it again costs no page faults."""
    script = (
        "import resource, sys\n"
        "from adapterstilts.machine import reuse_freed_memory\n"
        "if sys.argv[1] == 'yes': reuse_freed_memory()\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "bytearray(64 << 20)\n"
        "import numpy\n"
        "numpy.ones(8 << 20); before = faults(); numpy.ones(8 << 20); print(faults() - before)\n"
    )
    counts = [
        int(subprocess.run([sys.executable, "-c", script, word], capture_output=True, check=True).stdout)
        for word in ("yes", "no")
    ]
    assert counts[0] < counts[1] / 4


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="no oneDNN")
def test_few_kernels_are_kept_unless_the_environment_has_another_number() -> None:
    """What oneDNN says of its cache: a shape that was seen many shapes ago is compiled again."""
    script = (
        "from adapterstilts.machine import KERNELS_KEPT, keep_few_kernels\n"
        "keep_few_kernels()\n"
        "import torch\n"
        "from adapterstilts.engine.linear import _onednn\n"
        "product, matrix = _onednn(), torch.ones(48, 32)\n"
        "arranged = product.arrange(matrix)\n"
        "for rows in [*range(1, KERNELS_KEPT + 20), 1]: product.multiply(torch.ones(rows, 32), arranged, None)\n"
    )
    variable = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    plain = {name: value for name, value in os.environ.items() if name != variable}

    def compiled(more: dict[str, str]) -> list[bool]:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**plain, "ONEDNN_VERBOSE": "profile_create", **more},
            capture_output=True,
            text=True,
            check=True,
        )
        asked = [line for line in done.stdout.splitlines() if ",create" in line and ",mb1ic32oc48" in line]
        return ["cache_miss" in line for line in asked]

    assert compiled({}) == [True, True]
    assert compiled({variable: "1024"}) == [True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_given_back_from_between_what_is_used() -> None:
    script = (
        "from pathlib import Path\n"
        "from adapterstilts.machine import return_freed_memory, reuse_freed_memory\n"
        "resident = lambda: int(Path('/proc/self/statm').read_text().split()[1]) * 4096 >> 20\n"
        "reuse_freed_memory()\n"
        "import numpy\n"
        "blocks = [numpy.ones(2 << 20) for _ in range(8)]\n"
        "del blocks[::2]\n"
        "before = resident(); return_freed_memory(); print(before - resident())\n"
    )
    given = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert int(given) >= 60, "four blocks of 16 MB lay free"


# ---- memory


def test_a_containers_limit_counts_where_it_is_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, none = tmp_path / "memory.max", tmp_path / "absent"
    monkeypatch.setattr(machine, "_CGROUP_LIMITS", (limit, none))
    limit.write_text("max\n")
    whole = machine.device_memory("cpu")
    assert whole is not None and whole > 10**8
    limit.write_text("12345678\n")
    assert machine.device_memory("cpu") == 12345678


def test_the_drivers_tool_tells_the_memory_of_the_smallest_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.device_memory("cuda") is None
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ncase "$*" in *--id*1*) echo 40000;; *) echo 80000; echo 40000;; esac\n')
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.device_memory("cuda") == 40000 << 20
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert machine.device_memory("cuda") == 40000 << 20
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert machine.device_memory("cuda") is None
