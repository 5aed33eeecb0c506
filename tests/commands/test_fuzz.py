"""What tests/campaigns/fuzz.py asks of an answer, without the fuzzer: seeds are taken, planted defects are found."""

from typing import Any

import pytest

from campaigns.fuzz import NAMES
from covidqu.ingest import pack as packing
from support import targets

Targets = dict[str, list[targets.Reader]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Targets:
    return targets.packed_targets(tmp_path_factory.mktemp("fuzz"))


def test_every_reader_takes_its_seeds(found: Targets) -> None:
    assert tuple(found) == NAMES
    for name, readers in found.items():
        for at, reader in enumerate(readers):
            assert reader.seeds
            for seed in reader.seeds:
                assert targets.judge(readers, bytes([at]) + seed) is not None, (name, at)
        for data in targets.inputs(readers):
            targets.judge(readers, data)  # taken, or refused as it should be


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (packing._Fault("no picture", "a.png"), True),
        (KeyError("a"), False),
        (packing._Fault("no picture", "another file"), False),
        (packing._Fault("no\0picture", "a.png"), False),
        (packing._Fault("no\n" * 20, "a.png"), False),
    ],
)
def test_another_exception_and_another_refusal_are_found(
    found: Targets, monkeypatch: pytest.MonkeyPatch, error: Exception, passes: bool
) -> None:
    def planted(*_: Any) -> None:
        raise error

    monkeypatch.setattr(packing, "_pixels", planted)
    if passes:
        assert targets.judge(found["png"], b"\0") is None
    else:
        with pytest.raises((KeyError, AssertionError)):
            targets.judge(found["png"], b"\0")
