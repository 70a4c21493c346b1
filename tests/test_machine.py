"""What is known of a machine, from recorded descriptions of processors."""

import os

import pytest

from ownloop import cache, machine
from ownloop.resume import fingerprint

# What Linux says of each processor in /proc/cpuinfo, much shortened.
EPYC = """\
processor	: 0
vendor_id	: AuthenticAMD
model		: 17
model name	: AMD EPYC
flags		: fpu vme avx2 avx512f
bugs		: spectre_v1
"""
XEON = EPYC.replace("AMD EPYC", "Intel(R) Xeon(R)").replace("avx512f", "amx_tile")
NEOVERSE = """\
processor	: 0
BogoMIPS	: 2100.00
Features	: fp asimd sve bf16
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x1
CPU part	: 0xd40
CPU revision	: 1
"""
CORTEX = NEOVERSE.replace("0xd40", "0xd0b").replace(" sve bf16", "")
BOTH = "implementer 0x41 part 0xd0b, implementer 0x41 part 0xd40"


@pytest.fixture
def on(monkeypatch, tmp_path):
    """Pretends that Linux describes these processors."""

    def pretend(*processors):
        path = tmp_path / "cpuinfo"
        path.write_text("\n".join(processors))
        monkeypatch.setattr(machine, "_DESCRIPTION", path)

    return pretend


@pytest.mark.parametrize(
    ("processors", "model"),
    [
        ([EPYC, EPYC], "AMD EPYC"),
        ([XEON], "Intel(R) Xeon(R)"),
        ([NEOVERSE, NEOVERSE], "implementer 0x41 part 0xd40"),
        # Large and small ones, in whatever order they are named.
        ([NEOVERSE, CORTEX], BOTH),
        ([CORTEX, NEOVERSE], BOTH),
    ],
)
def test_a_processor_has_a_name_of_its_model(on, processors, model):
    on(*processors)
    assert machine.processor() == model
    assert fingerprint.of_process(compiled=True)["processor"] == model


def test_where_nothing_is_described_python_is_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_DESCRIPTION", tmp_path / "missing")
    monkeypatch.setattr(machine.platform, "processor", lambda: "arm")
    assert machine.processor() == "arm"
    assert machine.features() == []


def test_what_a_processor_can_do_is_what_compilers_go_by(on):
    on(EPYC, EPYC)
    assert machine.features() == ["flags\t\t: fpu vme avx2 avx512f"]
    on(NEOVERSE, CORTEX)
    assert machine.features() == [
        "CPU implementer\t: 0x41",
        "CPU part\t: 0xd0b",
        "CPU part\t: 0xd40",
        "Features\t: fp asimd",
        "Features\t: fp asimd sve bf16",
    ]


def test_each_kind_of_processor_has_a_folder_of_its_own(on):
    folders = []
    for processor in (EPYC, XEON, NEOVERSE, CORTEX):
        on(processor)
        folders.append(cache.compiled_folder("jax"))
    assert len(set(folders)) == len(folders)


def test_no_more_processors_may_be_used_than_there_are():
    assert 1 <= machine.usable_processors() <= os.cpu_count()


def test_the_compiler_is_the_one_that_cxx_names(monkeypatch):
    monkeypatch.setenv("CXX", "sh")
    assert machine.compiler().endswith("/sh")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert machine.compiler() is None


def test_an_empty_cxx_names_no_compiler_as_pytorch_reads_it(monkeypatch):
    monkeypatch.setenv("CXX", "")
    assert machine.compiler() is None
