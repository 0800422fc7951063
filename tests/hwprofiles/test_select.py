"""What people write after --device."""

from __future__ import annotations

import pytest

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.hwprofiles.detect import Detection
from quantroof.hwprofiles.select import select
from quantroof.hwprofiles.types import Device
from tests.hwprofiles.boards import gpu

CPU = Device(kind="cpu", index=0, name="a CPU")
TWO = Detection(devices=(gpu(uuid="GPU-aa11"), gpu(uuid="GPU-aa22", index=1), CPU))
NONE = Detection(devices=(CPU,), remarks=("no NVIDIA driver (libnvidia-ml.so.1 not found)",))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), ["cuda:0", "cuda:1"]),
        (("all",), ["cuda:0", "cuda:1", "cpu:0"]),
        (("cpu",), ["cpu:0"]),
        (("cuda",), ["cuda:0", "cuda:1"]),
        (("cuda:1",), ["cuda:1"]),
        (("cuda:1", "cpu", "cuda"), ["cuda:1", "cpu:0", "cuda:0"]),
        (("GPU-aa22",), ["cuda:1"]),
        (("gpu-AA2",), ["cuda:1"]),
        (("aa11",), ["cuda:0"]),
        (("sim:h100-sxm5-80gb",), ["sim:h100-sxm5-80gb"]),
    ],
)
def test_devices_are_chosen_by_kind_number_uuid_and_profile(
    texts: tuple[str, ...], expected: list[str]
) -> None:
    """Each device once, in the order asked for; without a wish every GPU."""
    assert [device.id for device in select(TWO, texts)] == expected


def test_without_a_gpu_the_cpu_is_measured() -> None:
    """The default is never nothing."""
    assert select(NONE, ()) == (CPU,)


@pytest.mark.parametrize("text", ["cuda:2", "tpu", "GPU-ff", "", "cuda:x", "GPU-aa"])
def test_a_device_that_is_not_here_is_refused_with_what_is(text: str) -> None:
    """One line that names the wish and, where nothing matches, the devices there are."""
    with pytest.raises(UsageError) as refused:
        select(TWO, (text,))
    assert f"'{text}'" in str(refused.value)
    assert "cuda:0, cuda:1, cpu:0" in str(refused.value) or "2 UUIDs" in str(refused.value)


def test_asking_for_a_gpu_without_a_driver_is_the_environments_fault() -> None:
    """Exit code 3, with the reason detection found."""
    with pytest.raises(EnvironmentMissing, match=r"libnvidia-ml\.so\.1 not found"):
        select(NONE, ("cuda",))


def test_a_profile_that_does_not_exist_is_refused_with_the_nearest() -> None:
    """A typo in a simulated device names what was probably meant."""
    with pytest.raises(UsageError, match="h100-sxm5-80gb"):
        select(NONE, ("sim:h100-sxm-80gb",))


def test_a_simulated_device_says_so_in_its_name() -> None:
    """Whatever prints a device's name prints SIMULATED with it."""
    (device,) = select(NONE, ("sim:h200-sxm",))
    assert device.name == "SIMULATED NVIDIA H200"
    assert device.capability == (9, 0)
    assert device.llc_bytes == 60 << 20


def test_a_simulated_node_has_devices_of_its_own() -> None:
    """`sim:PROFILE*8` is eight devices that a run can tell apart; nonsense is refused."""
    devices = select(NONE, ["sim:h200-sxm*8"])

    assert [d.index for d in devices] == list(range(8))
    assert len({d.id for d in devices}) == 8
    assert devices[0].id == "sim:h200-sxm"
    with pytest.raises(UsageError, match="not a number of simulated devices"):
        select(NONE, ["sim:h200-sxm*many"])


def test_a_simulated_node_takes_a_host_name() -> None:
    """`*2@gpu-07+ecc@1`: host, serial numbers and fault; no shell words as a host, and one host per run."""
    devices = select(NONE, ["sim:h200-sxm*2@gpu-07+ecc@1"])

    assert [(d.host, d.serial, d.injected_fault) for d in devices] == [
        ("gpu-07", "SIM-gpu-07-0000", None),
        ("gpu-07", "SIM-gpu-07-0001", "ecc"),
    ]
    for text in ("@", "@a b", "@-a", "@$(reboot)"):
        with pytest.raises(UsageError, match="is not the name of a host"):
            select(NONE, [f"sim:h200-sxm*2{text}"])
    with pytest.raises(UsageError, match="devices of 2 hosts cannot share a run"):
        select(NONE, ["sim:h200-sxm@a", "sim:h200-sxm@b"])


def test_faults_are_injected_by_number() -> None:
    """`+pcie@1` alters the second device alone; an unknown fault, or a number too high, is refused."""
    devices = select(NONE, ["sim:h200-sxm*3+pcie@1+ecc@2"])

    assert [d.injected_fault for d in devices] == [None, "pcie", "ecc"]
    assert [d.pcie.width if d.pcie else None for d in devices] == [None, 8, None]
    for text, words in (
        ("+ecc@3", "INDEX is 0 to 2"),
        ("+rust@0", "unknown fault 'rust'"),
        ("+", "plants no fault"),
    ):
        with pytest.raises(UsageError, match=words):
            select(NONE, [f"sim:h200-sxm*3{text}"])
