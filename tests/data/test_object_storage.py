"""Data sets and models in object storage, against an S3 server on this machine."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from segshift.data.images import read_image
from segshift.data.labels import class_set
from segshift.data.resolve import absolute_argument, locate, resolve
from segshift.errors import InputError, OutputError
from segshift.folders import fetched_file, mirror_folder, model_file, url_of
from segshift.models import Segmenter, SegmenterConfig, load
from segshift.progress import LISTENER, Progress
from tests.data.files import CLASSES, assert_one_line, ids, pixels, save

pytestmark = pytest.mark.process
fsspec = pytest.importorskip("fsspec")
pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")
SPEC = {
    "name": "warehouse",
    "splits": {
        "train": {"images": "rgb/train/**/*.png", "labels": "mask/train/{parent}/{stem}_id.png"},
        "val": {"images": "rgb/val/{stem}.png", "labels": "mask/val/{stem}.png", "list": "val.txt"},
    },
    "classes": CLASSES,
    "labels": {"kind": "train_ids"},
}
FILES = ("rgb/train/a/1.png", "rgb/train/2.png", "rgb/val/3.png", "rgb/test/9.png")


class Heard(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def storage(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket `depot` with the files of SPEC below `data/`."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": endpoint}
    for name, value in {**keys, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))
    s3 = fsspec.filesystem("s3", skip_instance_cache=True)
    if s3.exists("depot"):
        s3.rm("depot", recursive=True)
    s3.mkdir("depot")
    for number, name in enumerate(FILES):
        image = save(tmp_path / "here" / name, pixels(number))
        label = save(tmp_path / "here" / name.replace("rgb", "mask").replace(".png", "_id.png"), ids(number))
        s3.put_file(str(image), f"depot/data/{name}")
        kept = name.replace("rgb", "mask") if "val" in name else str(label.relative_to(tmp_path / "here"))
        s3.put_file(str(label), f"depot/data/{kept}")
    s3.pipe("depot/data/val.txt", b"3\n")
    s3.pipe("depot/data/dataset.yaml", yaml.safe_dump(SPEC).encode())
    return s3


@pytest.fixture
def heard() -> Iterator[Heard]:
    listener = Heard()
    token = LISTENER.set(listener)
    yield listener
    LISTENER.reset(token)


def copies(url: str) -> set[str]:
    folder = mirror_folder(url)
    return {str(one.relative_to(folder)) for one in folder.rglob("*.*") if one.name != "index.json"}


def test_a_splits_files_are_copied_once_and_again_when_they_change(
    tmp_path: Path, storage: Any, heard: Heard
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({**SPEC, "root": "s3://depot/data"}))
    split = resolve(f"{own}:train")
    assert [sample.stem for sample in split.samples] == ["2", "a/1"]
    first = split.samples[1]
    assert np.array_equal(read_image(first.image), pixels(0))
    assert first.label is not None and np.array_equal(split.decoder.read(first.label), ids(0))
    # No file of another split, and none that nobody asked for.
    assert copies("s3://depot/data") == {
        "rgb/train/a/1.png", "rgb/train/2.png", "mask/train/a/1_id.png", "mask/train/2_id.png"
    }  # fmt: skip
    assert heard.lines == [f"s3://depot/data: 4 of 4 files copied into {mirror_folder('s3://depot/data')}"]
    resolve(f"{own}:train")
    assert len(heard.lines) == 1
    # Of the same size: only the etag tells. What somebody has cut off here is fetched again, too.
    storage.pipe("depot/data/mask/train/2_id.png", storage.cat("depot/data/mask/train/a/1_id.png"))
    (mirror_folder("s3://depot/data") / "rgb/train/2.png").write_bytes(b"cut off")
    storage.rm("depot/data/rgb/train/a/1.png")
    again = resolve(f"{own}:train")
    assert [sample.stem for sample in again.samples] == ["2"]
    assert np.array_equal(read_image(again.samples[0].image), pixels(1))
    assert again.samples[0].label is not None
    assert np.array_equal(again.decoder.read(again.samples[0].label), ids(0))
    assert ": 2 of 3 files copied" in heard.lines[1]


@pytest.mark.parametrize("argument", ["s3://depot/data/dataset.yaml", "{own}:s3://depot/data"])
def test_roots_and_descriptions_may_be_urls(tmp_path: Path, storage: Any, argument: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(SPEC))
    argument = argument.format(own=own)
    assert [sample.stem for sample in resolve(f"{argument}:val").samples] == ["3"]
    assert [sample.stem for sample in resolve(argument).samples] == ["2", "a/1"]
    assert absolute_argument(f"{argument}:val") == f"{argument}:val"


def test_a_description_in_storage_may_name_a_root_beside_it(storage: Any) -> None:
    storage.pipe("depot/sets/own.yaml", yaml.safe_dump({**SPEC, "root": "../data"}).encode())
    assert locate("s3://depot/sets/own.yaml")[0].url == "s3://depot/data"
    assert len(resolve("s3://depot/sets/own.yaml:val").samples) == 1


def test_models_are_taken_from_storage(tmp_path: Path, storage: Any) -> None:
    network = Segmenter(SegmenterConfig(backbone="segshift_tiny", weights="none"), class_set(tuple(CLASSES)))
    file = network.save(tmp_path / "model.safetensors") or tmp_path / "model.safetensors"
    storage.put_file(str(file), "depot/runs/one/model.safetensors")
    # Command lines make paths of arguments, with one slash.
    for argument in ("s3://depot/runs/one", Path("s3://depot/runs/one/model.safetensors")):
        assert model_file(argument).read_bytes() == Path(file).read_bytes()
        assert load(argument).class_names == tuple(CLASSES)


def test_a_copy_that_was_interrupted_goes_on(
    storage: Any, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    real, done, line = s3fs.S3FileSystem._get_file, [], ["dead"]

    async def failing(self: Any, source: str, *rest: Any, **more: Any) -> Any:
        if line and len(done) == 2:
            raise ConnectionError("the line is dead")
        done.append(source)
        return await real(self, source, *rest, **more)

    monkeypatch.setattr("segshift.folders.remote._AT_ONCE", 1)
    monkeypatch.setattr(s3fs.S3FileSystem, "_get_file", failing)
    # One that an earlier test made would keep its own way of getting files.
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match="the line is dead") as caught:
        resolve("s3://depot/data/dataset.yaml:train")
    assert_one_line(caught.value)
    assert not [one for one in mirror_folder("s3://depot/data").rglob(".*") if "partial" in one.name]
    line.clear()
    assert len(resolve("s3://depot/data/dataset.yaml:train").samples) == 2
    assert ": 3 of 4 files copied" in heard.lines[-1]  # the description was the other one that had come


def test_refusals_are_one_line_with_the_remedy(
    tmp_path: Path, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(argument: str) -> str:
        with pytest.raises(InputError) as caught:
            resolve(argument)
        assert_one_line(caught.value)
        return str(caught.value)

    assert "no such bucket, folder or file" in refusal("s3://nowhere/data/dataset.yaml")
    assert "no such bucket, folder or file" in refusal("s3://depot/data/gone.yaml")
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(SPEC))
    assert "holds no files" in refusal(f"{own}:s3://depot/empty")
    assert "write s3://BUCKET/PATH" in refusal(f"{own}:nosuch://depot/data")
    monkeypatch.setattr(
        "segshift.folders.remote.shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})
    )
    with pytest.raises(OutputError, match="are free"):
        resolve(f"{own}:s3://depot/data")
    monkeypatch.undo()

    monkeypatch.setenv("SEGSHIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    fsspec.filesystem("s3").clear_instance_cache()
    assert "set the storage's credentials" in refusal(f"{own}:s3://depot/data")


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"].__dict__["_registry"], "s3", raising=False)
    with pytest.raises(InputError, match=r"segshift\[remote\]"):
        fetched_file("s3://depot/data/dataset.yaml")


def test_only_urls_are_urls() -> None:
    assert url_of(Path("s3://bucket/a/b/")) == url_of("s3://bucket/a/b") == "s3://bucket/a/b"
    assert url_of("camvid:s3://bucket") is None
    for local in ("runs/x", "/a/b", "c:/data", "camvid:PATH", "file:///a", "RUN@30", "s3:", "city:game"):
        assert url_of(local) is None, local
