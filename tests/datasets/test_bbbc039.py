"""BBBC039: the copy on disk must be the original; the download leaves all or nothing."""

import hashlib
import operator
import os
import shutil
import threading
import zipfile
from collections import Counter
from functools import partial, reduce
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.datasets import bbbc039, open_dataset

REAL = os.environ.get("HARNESS_DATA_DIR")
needs_data = pytest.mark.skipif(not REAL, reason="HARNESS_DATA_DIR names no copy of BBBC039")


@pytest.fixture(scope="module")
def real():
    return open_dataset("bbbc039")


@pytest.fixture
def copy(tmp_path):
    """A copy of the real data made of links: take one away or replace it, never write through it."""
    for part in ("images", "masks", "metadata"):
        (tmp_path / part).mkdir()
        for file in Path(REAL, part).iterdir():
            (tmp_path / part / file.name).symlink_to(file.resolve())
    return tmp_path


def refusal(folder):
    with pytest.raises(HarnessError) as caught:
        open_dataset("bbbc039", folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def replace(path, content):
    path.unlink()
    path.write_bytes(content)


def masks(folder, split):
    names = (folder / "metadata" / f"{split}.txt").read_text().split()
    return [folder / "masks" / name for name in names]


@needs_data
def test_counts_are_those_of_the_official_annotation(real):
    nuclei = {split: [int(real.read_nuclei(field).max()) for field in fields] for split, fields in real.splits.items()}
    assert {split: len(n) for split, n in nuclei.items()} == {"training": 100, "validation": 50, "test": 50}
    assert {split: sum(counts) for split, counts in nuclei.items()} == {"training": 11_999, "validation": 5_896, "test": 5_720}
    counts = dict(zip(sum(real.splits.values(), ()), reduce(operator.iadd, nuclei.values(), []), strict=True))
    empty = {field[8:14] for field, n in counts.items() if n == 0}
    assert empty == {"F13_s7", "L01_s2", "L10_s6"}


@needs_data
def test_image_and_nuclei_have_the_shapes_everybody_relies_on(real):
    field = real.splits["test"][0]
    image, nuclei = real.read_image(field), real.read_nuclei(field)
    assert (image.shape, image.dtype, int(image.max()) < 4096) == ((520, 696), "uint16", True)
    assert (nuclei.shape, nuclei.dtype) == ((520, 696), "int32")


@needs_data
def test_digest_does_not_depend_on_where_the_copy_lies_nor_on_line_ends(real, copy):
    list_ = copy / "metadata" / "test.txt"
    replace(list_, b"\r\n".join(list_.read_bytes().split()) + b"\r\n")
    assert open_dataset("bbbc039", copy).digest == real.digest
    assert open_dataset("bbbc039", copy).splits == real.splits


@needs_data
@pytest.mark.parametrize("part", ["images", "masks", "metadata"])
def test_an_altered_file_is_named(copy, part):
    path = min((copy / part).iterdir())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    replace(path, bytes(content))
    assert f"{part}/{path.name} is not the original (1 of 403" in refusal(copy)


@needs_data
def test_a_truncated_file_and_a_missing_one_are_counted_together(copy):
    images = sorted((copy / "images").iterdir())
    images[3].unlink()
    replace(images[7], images[7].read_bytes()[:1000])
    assert f"images/{images[3].name} is missing (2 of 403" in refusal(copy)


@needs_data
def test_training_and_validation_masks_may_be_absent_as_whole_splits(real, copy):
    for path in masks(copy, "training"):
        path.unlink()
    without_training = open_dataset("bbbc039", copy)
    assert without_training.read_nuclei(real.splits["training"][0]) is None
    assert without_training.read_nuclei(real.splits["validation"][0]) is not None
    for path in masks(copy, "validation"):
        path.unlink()
    without_both = open_dataset("bbbc039", copy)
    assert without_both.read_nuclei(real.splits["validation"][0]) is None
    assert len({real.digest, without_training.digest, without_both.digest}) == 3


@needs_data
def test_a_split_with_only_some_of_its_masks_is_refused(copy):
    missing = masks(copy, "training")[1:]
    for path in missing:
        path.unlink()
    assert "is missing (99 of 403" in refusal(copy)


@needs_data
def test_test_masks_are_always_needed(copy):
    for path in masks(copy, "test"):
        path.unlink()
    assert "is missing (50 of 403" in refusal(copy)


@needs_data
def test_opening_reads_no_pixels(monkeypatch):
    for reader in ("imageio.v3.imread", "tifffile.imread"):
        monkeypatch.setattr(reader, lambda path, **_: pytest.fail(f"read {path}"))
    open_dataset("bbbc039")


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_that_is_no_copy_is_refused(tmp_path, name):
    assert "must hold images/, masks/ and metadata/" in refusal(tmp_path / name)


def test_the_packaged_checksums_are_complete():
    known = bbbc039.known_files()
    assert Counter(name.split("/")[0] for name in known) == {"images": 200, "masks": 200, "metadata": 3}
    assert all(len(sha256) == 64 for sha256 in known.values())


# Download, from a server of our own on this machine


def archive(folder, members, name="images.zip"):
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as opened:
        for member, content in members.items():
            opened.writestr(member, content)
    return "sha256:" + hashlib.sha256((folder / name).read_bytes()).hexdigest()


@pytest.fixture
def served(tmp_path):
    """A folder and the address of the server that serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = partial(quiet, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)


def test_download_unpacks_everything_but_macos_entries(tmp_path, served):
    folder, address = served
    archives = {
        "images.zip": archive(folder, {"images/a.tif": b"a", "__MACOSX/images/._a.tif": b"x"}),
        "masks.zip": archive(folder, {"masks/a.png": b"m"}, "masks.zip"),
    }
    target = bbbc039.download(tmp_path / "cache" / "bbbc039", address, archives)
    files = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert files == {"images/a.tif", "masks/a.png"}
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["bbbc039"]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-20], lambda content: content[:30] + b"?" + content[31:], lambda content: b""]
)
def test_a_damaged_archive_leaves_nothing_behind(tmp_path, served, damage):
    folder, address = served
    archives = {"images.zip": archive(folder, {"images/a.tif": b"a" * 1000})}
    (folder / "images.zip").write_bytes(damage((folder / "images.zip").read_bytes()))
    with pytest.raises(HarnessError, match="images.zip .its content is not the known one"):
        bbbc039.download(tmp_path / "cache" / "bbbc039", address, archives)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_server_that_breaks_off_leaves_nothing_behind(tmp_path, served):
    folder, address = served
    archives = {"images.zip": archive(folder, {"images/a.tif": b"a"}), "masks.zip": "sha256:" + "0" * 64}
    with pytest.raises(HarnessError, match="masks.zip"):
        bbbc039.download(tmp_path / "cache" / "bbbc039", address, archives)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_unreachable_server_gives_one_line(tmp_path):
    with pytest.raises(HarnessError, match="cannot download http://127.0.0.1:9/images.zip .ConnectionError"):
        bbbc039.download(tmp_path / "bbbc039", "http://127.0.0.1:9/", {"images.zip": "sha256:" + "0" * 64})


def test_an_interruption_while_unpacking_leaves_nothing_behind(tmp_path, served, monkeypatch):
    folder, address = served
    archives = {"images.zip": archive(folder, {"images/a.tif": b"a"})}

    def unpack_and_interrupt(file, target):
        zipfile.ZipFile(file).extractall(target)
        raise KeyboardInterrupt

    monkeypatch.setattr(bbbc039, "unpack", unpack_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        bbbc039.download(tmp_path / "cache" / "bbbc039", address, archives)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_gives_one_line(tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(HarnessError, match="cannot be written there .File exists."):
        bbbc039.download(tmp_path / "cache" / "bbbc039", "http://127.0.0.1:9/", {})


@pytest.mark.parametrize("member", ["../outside.txt", "/outside.txt", "images/../../outside.txt"])
def test_an_archive_that_would_write_outside_is_refused(tmp_path, served, member):
    folder, address = served
    archives = {"images.zip": archive(folder, {"images/a.tif": b"a", member: b"x"})}
    with pytest.raises(HarnessError, match="outside the data folder"):
        bbbc039.download(tmp_path / "cache" / "bbbc039", address, archives)
    assert not list(tmp_path.rglob("outside.txt")) and not (tmp_path / "cache" / "bbbc039").exists()


def test_a_copy_that_appeared_meanwhile_is_kept(tmp_path, served):
    folder, address = served
    archives = {"images.zip": archive(folder, {"images/a.tif": b"new"})}
    target = tmp_path / "bbbc039"
    (target / "images").mkdir(parents=True)
    (target / "images" / "a.tif").write_bytes(b"first")
    bbbc039.download(target, address, archives)
    assert (target / "images" / "a.tif").read_bytes() == b"first"


@needs_data
def test_the_whole_way_from_archives_to_the_open_data_set(tmp_path, served, real, monkeypatch):
    folder, address = served
    archives = {}
    for part in ("images", "masks", "metadata"):
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as opened:
            for file in Path(REAL, part).iterdir():
                opened.write(file, f"{part}/{file.name}")
        content = (folder / f"{part}.zip").read_bytes()
        archives[f"{part}.zip"] = "sha256:" + hashlib.sha256(content).hexdigest()
    monkeypatch.delenv("HARNESS_DATA_DIR")
    monkeypatch.setattr(bbbc039.pooch, "os_cache", lambda project: tmp_path / project)
    monkeypatch.setattr(bbbc039, "download", partial(bbbc039.download, base_url=address, archives=archives))
    assert open_dataset("bbbc039").digest == real.digest
    shutil.rmtree(folder)  # the second time nothing is fetched
    assert open_dataset("bbbc039").digest == real.digest
