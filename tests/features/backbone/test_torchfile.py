"""Checkpoints of PyTorch: what sound ones hold; that hostile ones end in one line and nothing else."""

import io
import pickle
import random
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import checkpoints as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from roadclear.errors import WeightsError
from roadclear.features.backbone.torchfile import read_tensors

ONE_TO_SIX = np.arange(1, 7, dtype=np.float32)
SIX = cp.storage("0", 6)
both_containers = pytest.mark.parametrize("container", cp.CONTAINERS)


def read(
    description: bytes, container: str, storages: dict[str, NDArray[Any]] | None = None
) -> dict[str, NDArray[Any]]:
    return read_tensors(cp.CONTAINERS[container](description, storages or {"0": ONE_TO_SIX}))


def refusal(data: bytes) -> str:
    with pytest.raises(WeightsError) as caught:
        read_tensors(data)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


class TestSound:
    @both_containers
    def test_arrays_come_back_as_they_were(self, container: str) -> None:
        arrays: dict[str, NDArray[Any]] = {
            "features.0.0.weight": np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 3, 1, 2),
            "features.0.1.num_batches_tracked": np.array(7, dtype=np.int64),
            "double": np.array([1e300, -0.0]),
            "half": np.array([1.5], dtype=np.float16),
        }
        tensors = read_tensors(cp.state_dict(arrays, container))

        assert list(tensors) == list(arrays)
        for name, array in arrays.items():
            assert tensors[name].dtype == array.dtype
            np.testing.assert_array_equal(tensors[name], array)

    @both_containers
    @pytest.mark.parametrize(
        ("size", "stride", "offset", "expected"),
        [
            ((2, 3), (3, 1), 0, [[1, 2, 3], [4, 5, 6]]),
            ((3, 2), (1, 3), 0, [[1, 4], [2, 5], [3, 6]]),
            ((2,), (2,), 1, [2, 4]),
            ((2, 2), (0, 1), 4, [[5, 6], [5, 6]]),
            ((), (), 5, 6),
        ],
        ids=["contiguous", "transposed", "every second", "expanded", "scalar"],
    )
    def test_views(
        self, size: tuple[int, ...], stride: tuple[int, ...], offset: int, expected: list[Any], container: str
    ) -> None:
        tensors = read(cp.mapping({"x": cp.tensor(SIX, size, stride, offset)}), container)
        np.testing.assert_array_equal(tensors["x"], np.array(expected, dtype=np.float32))

    @both_containers
    def test_two_tensors_may_share_a_storage(self, container: str) -> None:
        front, back = cp.tensor(SIX, (3,), (1,)), cp.tensor(SIX, (3,), (1,), offset=3)
        tensors = read(cp.mapping({"front": front, "back": back}), container)
        np.testing.assert_array_equal(np.concatenate([tensors["front"], tensors["back"]]), ONE_TO_SIX)

    @both_containers
    def test_arrays_are_read_only(self, container: str) -> None:
        tensors = read(cp.mapping({"x": cp.tensor(SIX, (6,), (1,))}), container)
        with pytest.raises(ValueError, match="read-only"):
            tensors["x"][0] = 0

    def test_a_legacy_storage_without_a_view_says_none(self) -> None:
        stored = cp.storage("0", 6, view=cp.NONE)
        assert read(cp.mapping({"x": cp.tensor(stored, (6,), (1,))}), "legacy")["x"].shape == (6,)


COMMAND = "echo broken-into > broken-into"
CODE = "open('broken-into', 'w')"
CALLS = {
    "os.system": cp.call(cp.named("os", "system"), cp.text(COMMAND)),
    "posix.system": cp.call(cp.named("posix", "system"), cp.text(COMMAND)),
    "subprocess.getoutput": cp.call(cp.named("subprocess", "getoutput"), cp.text(COMMAND)),
    "builtins.eval": cp.call(cp.named("builtins", "eval"), cp.text(CODE)),
    "__builtin__.exec": cp.call(cp.named("__builtin__", "exec"), cp.text(CODE)),
    "builtins.getattr": cp.call(cp.named("builtins", "getattr"), cp.NONE, cp.text("__class__")),
    "functools.partial": cp.call(cp.named("functools", "partial"), cp.named("os", "system"), cp.text(COMMAND)),
    "torch.load": cp.call(cp.named("torch", "load"), cp.text("other.pt")),
    "torch.hub.load": cp.call(cp.named("torch.hub", "load"), cp.text("someone/else"), cp.text("model")),
    "torch.serialization._get_layout": cp.named("torch.serialization", "_get_layout"),
    "torch._utils._rebuild_parameter": cp.named("torch._utils", "_rebuild_parameter"),
    "torch.CharStorage": cp.storage("0", 6, "CharStorage"),
    "numpy.core.multiarray._reconstruct": cp.named("numpy.core.multiarray", "_reconstruct"),
    "antigravity": cp.named("antigravity", ""),
    "collections.OrderedDict.__init__": cp.named("collections", "OrderedDict.__init__"),
}


class TestHostilePickle:
    @both_containers
    @pytest.mark.parametrize("name", CALLS)
    def test_a_forbidden_name_is_named_and_not_touched(
        self, name: str, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        message = refusal(cp.CONTAINERS[container](cp.mapping({"x": CALLS[name]}), {"0": ONE_TO_SIX}))
        assert name in message
        assert not list(tmp_path.iterdir())
        assert "antigravity" not in sys.modules

    @pytest.mark.parametrize("name", ["os.system", "builtins.eval"])
    def test_the_hostile_calls_are_real(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An ordinary unpickler falls for them."""
        monkeypatch.chdir(tmp_path)
        pickle.loads(cp.pickled(CALLS[name]))
        assert (tmp_path / "broken-into").exists()

    def test_a_forbidden_name_in_any_pickle_of_the_stream(self) -> None:
        assert "os.system" in refusal(cp.pickled(CALLS["os.system"]))

    @pytest.mark.parametrize(
        ("instruction", "pickle"),
        {
            "INST": b"(X\x02\x00\x00\x00idios\nsystem\n",
            "OBJ": b"(" + b"Nt" + b"(No",
            "NEWOBJ": cp.ORDERED_DICT + b")\x81",
            "EXT1": b"\x82\x01",
            "BINSTRING": b"T\x01\x00\x00\x00x",
            "PERSID": b"P0\n",
            "DUP": b"N2",
            "POP": b"N0",
            "FRAME": b"\x95" + bytes(8),
        }.items(),
    )
    def test_an_instruction_that_tensors_never_need(self, instruction: str, pickle: bytes) -> None:
        assert instruction in refusal(cp.zipped(pickle, {}))

    def test_a_name_from_the_stack(self) -> None:
        assert "os.system" in refusal(cp.zipped(cp.text("os") + cp.text("system") + b"\x93", {}))

    def test_attributes_set_on_a_permitted_name_change_nothing(self) -> None:
        """BUILD sets attributes: on the class or function behind a name they would outlive the file."""
        poison = cp.named("torch._utils", "_rebuild_tensor_v2") + sequence_of_state("__defaults__")
        refusal(cp.zipped(cp.mapping({"x": poison}), {}))
        poison = cp.named("collections", "OrderedDict") + sequence_of_state("get")
        refusal(cp.zipped(cp.mapping({"x": poison}), {}))
        assert read(cp.mapping({"x": cp.tensor(SIX, (6,), (1,))}), "zipped")["x"].shape == (6,)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "pickle",
        {
            "nothing on the stack": b"R",
            "a mark that is not there": b"t",
            "an unknown memo": b"h\x07",
            "a far memo": cp.NONE + b"r\xff\xff\xff\x7f",
            "a text that says it is 4 GB": b"X\xff\xff\xff\xff",
            "a number that says it is 2 GB": b"\x8b\xff\xff\xff\x7f",
            "a dict with a key that is no text": b"}" + cp.number(1) + cp.NONE + b"s",
            "a dict with an odd number of parts": b"}(" + cp.text("x") + b"u",
            "set items on a tuple": cp.sequence() + cp.text("x") + cp.NONE + b"s",
            "append to a dict": b"}Na",
            "a dict of something": cp.call(cp.named("collections", "OrderedDict"), b"]"),
            "a call of a tensor": cp.call(cp.tensor(SIX, (6,), (1,)), cp.NONE),
            "a call of a storage": cp.call(cp.named("torch", "FloatStorage"), cp.number(6)),
            "a storage that is no tuple": cp.NONE + b"Q",
            "a storage of another kind": cp.sequence(cp.text("module"), *[cp.NONE] * 4) + b"Q",
            "a storage whose type is a text": cp.sequence(cp.text("storage"), *[cp.text("x")] * 3, cp.number(1)) + b"Q",
            "a storage that is a view of another": cp.storage("0", 6, view=cp.sequence(cp.number(1))),
            "a tensor of nothing": cp.call(cp.named("torch._utils", "_rebuild_tensor_v2"), *[cp.NONE] * 6),
            "a tensor of too few parts": cp.call(cp.named("torch._utils", "_rebuild_tensor_v2"), SIX),
            "deep nesting": cp.sequence() + b"\x85" * 100_000,
            "not a dict": cp.tensor(SIX, (6,), (1,)),
            "a dict of dicts": cp.mapping({"x": cp.ORDERED_DICT}),
            "a dict of storages": cp.mapping({"x": SIX}),
            "no end": b"",
        }.values(),
    )
    @both_containers
    def test_a_malformed_pickle(self, pickle: bytes, container: str) -> None:
        refusal(cp.CONTAINERS[container](pickle, {"0": ONE_TO_SIX}))


def sequence_of_state(attribute: str) -> bytes:
    """Instructions that set an attribute of what is on the stack to an empty tuple."""
    return cp.sequence(cp.NONE, b"}" + cp.text(attribute) + b")" + b"s") + b"b"


FAR = 2**62


class TestHostileViews:
    @both_containers
    @pytest.mark.parametrize(
        ("size", "stride", "offset"),
        [
            ((7,), (1,), 0),
            ((6,), (1,), 1),
            ((2, 3), (4, 1), 0),
            ((6,), (-1,), 5),
            ((6,), (1,), -1),
            ((-6,), (1,), 0),
            ((0,), (1,), 0),
            ((6,), (1, 1), 0),
            ((1,) * 40, (1,) * 40, 0),
            ((FAR,), (0,), 0),
            ((2**31, 2**31), (0, 0), 0),
            ((2,), (FAR,), 0),
            ((1,), (1,), FAR),
            ((1,), (1,), 2**500),
        ],
    )
    def test_a_view_that_leaves_its_storage(
        self, size: tuple[int, ...], stride: tuple[int, ...], offset: int, container: str
    ) -> None:
        description = cp.mapping({"x": cp.tensor(SIX, size, stride, offset)})
        assert "'x'" in refusal(cp.CONTAINERS[container](description, {"0": ONE_TO_SIX}))

    @both_containers
    @pytest.mark.parametrize("stored", [cp.storage("0", 5), cp.storage("0", 7), cp.storage("0", 3, "DoubleStorage")])
    def test_a_storage_of_another_length_or_type(self, stored: bytes, container: str) -> None:
        storages = {"0": ONE_TO_SIX[:5] if b"Double" in stored else ONE_TO_SIX}
        refusal(cp.CONTAINERS[container](cp.mapping({"x": cp.tensor(stored, (1,), (1,))}), storages))

    @both_containers
    def test_a_storage_that_is_two_types_at_once(self, container: str) -> None:
        stored = {"x": SIX, "y": cp.storage("0", 3, "LongStorage")}
        description = cp.mapping({name: cp.tensor(part, (1,), (1,)) for name, part in stored.items()})
        refusal(cp.CONTAINERS[container](description, {"0": ONE_TO_SIX}))

    @both_containers
    @pytest.mark.parametrize("key", ["1", "../0", "/etc/passwd", ""])
    def test_a_storage_that_is_not_there(self, key: str, container: str) -> None:
        description = cp.mapping({"x": cp.tensor(cp.storage(key, 6), (6,), (1,))})
        refusal(cp.CONTAINERS[container](description, {"0": ONE_TO_SIX}))

    @pytest.mark.parametrize("length", [5, 7, 2**40, 2**63, 2**64 - 1])
    def test_a_legacy_storage_that_lies_about_its_length(self, length: int) -> None:
        sound = cp.state_dict({"x": ONE_TO_SIX}, "legacy")
        start = len(sound) - ONE_TO_SIX.nbytes - 8
        refusal(sound[:start] + struct.pack("<Q", length) + sound[start + 8 :])


class TestHostileContainers:
    @pytest.mark.parametrize(
        "data", [b"", b"PK\x03\x04", b"<html>sign in first</html>", bytes(100), random.Random(0).randbytes(99)]
    )
    def test_something_else(self, data: bytes) -> None:
        refusal(data)

    def test_a_zip_bomb(self) -> None:
        """32 MiB of zeros in a few kilobytes."""
        zeros = np.zeros(2**23, dtype=np.float32)
        description = cp.mapping({"x": cp.tensor(cp.storage("0", zeros.size), (zeros.size,), (1,))})
        bomb = cp.zipped(description, {"0": zeros}, zipfile.ZIP_DEFLATED)
        assert len(bomb) < 40_000
        assert "uncompressed" in refusal(bomb)

    def test_a_compressed_member_that_is_no_bomb(self) -> None:
        noise = np.frombuffer(np.random.default_rng(0).bytes(400), np.float32)
        description = cp.mapping({"x": cp.tensor(cp.storage("0", 100), (100,), (1,))})
        assert read_tensors(cp.zipped(description, {"0": noise}))["x"].shape == (100,)
        assert "uncompressed" in refusal(cp.zipped(description, {"0": noise}, zipfile.ZIP_DEFLATED))

    def test_members_inside_one_another(self) -> None:
        """Stored members that share their bytes: many of them would unpack to many times the file."""
        payload = bytes(4000)
        inner = zipfile.ZipInfo("weights/data/inner")
        inner.file_size = inner.compress_size = len(payload)
        inner.CRC = zlib.crc32(payload)
        outer = inner.FileHeader() + payload
        stored = {"outer": len(outer) // 4, "inner": len(payload) // 4}
        description = cp.mapping({key: cp.tensor(cp.storage(key, n), (n,), (1,)) for key, n in stored.items()})

        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("weights/data.pkl", cp.pickled(description))
            archive.writestr("weights/data/outer", outer)
            inner.header_offset = archive.start_dir - len(outer)
            archive.filelist.append(inner)
        refusal(buffer.getvalue())

    def test_an_encrypted_member(self) -> None:
        archive = bytearray(cp.state_dict({"x": ONE_TO_SIX}))
        archive[6] |= 1
        archive[archive.index(b"PK\x01\x02") + 8] |= 1
        refusal(bytes(archive))

    def test_a_member_with_a_wrong_checksum(self) -> None:
        archive = cp.state_dict({"x": ONE_TO_SIX})
        assert archive.count(ONE_TO_SIX.tobytes()) == 1
        refusal(archive.replace(ONE_TO_SIX.tobytes(), ONE_TO_SIX[::-1].tobytes()))

    @pytest.mark.parametrize("names", [[], ["a/data.pkl", "b/data.pkl"]])
    def test_not_one_description(self, names: list[str]) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("version", "3\n")
            for name in names:
                archive.writestr(name, cp.pickled(cp.mapping({})))
        assert "one data.pkl" in refusal(buffer.getvalue())

    def test_big_endian_values(self) -> None:
        description = cp.mapping({"x": cp.tensor(SIX, (6,), (1,))})
        assert "little-endian" in refusal(cp.zipped(description, {"0": ONE_TO_SIX}, order="big"))
        assert "little-endian" in refusal(cp.legacy(description, {"0": ONE_TO_SIX}).replace(b"\x88u", b"\x89u", 1))


ARRAYS: dict[str, NDArray[Any]] = {"w": ONE_TO_SIX.reshape(2, 3), "n": np.array(3, dtype=np.int64)}


class TestDamage:
    @both_containers
    def test_truncated_anywhere(self, container: str) -> None:
        sound = cp.state_dict(ARRAYS, container)
        for length in range(len(sound)):
            refusal(sound[:length])

    # The standard library decodes the texts of instructions that we refuse, and warns about their escapes.
    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:invalid escape sequence")
    @both_containers
    @settings(max_examples=300, deadline=None)
    @given(data=st.data())
    def test_mutated_anyhow(self, container: str, data: st.DataObject) -> None:
        """Whatever happens to the bytes: tensors within the file's size, or a `WeightsError`."""
        mutated = bytearray(cp.state_dict(ARRAYS, container))
        places = st.integers(0, len(mutated) - 1)
        for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
            mutated[place] = value
        cut = data.draw(st.integers(0, 20))
        if cut:
            place = data.draw(places)
            del mutated[place : place + cut]
        try:
            tensors = read_tensors(bytes(mutated))
        except WeightsError as error:
            assert "\n" not in str(error)
        else:
            assert all(array.size <= len(mutated) for array in tensors.values())
