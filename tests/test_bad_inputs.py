"""A corpus of bad inputs: refused (2) or a part failed (1), a line a fault, no traceback, nothing half written.

Each is either accepted, and then works, or refused in one line. The whole corpus is `slow`; the suite draws a small part.
"""

import json
import os
import random
import resource
import shutil
import struct
import time
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from harness.core.errors import HarnessError
from harness.datasets import Field, open_dataset, problems, read_image, read_nuclei

SECONDS, MEMORY = 5, 1e6  # of processor time for a case; kB that the process may grow by over a whole group
rng = np.random.default_rng(7)
IMAGE = rng.integers(90, 110, (48, 60), dtype=np.uint16)
for y, x in ((10, 12), (20, 40), (36, 22)):
    rows, columns = np.ogrid[:48, :60]
    IMAGE[(rows - y) ** 2 + (columns - x) ** 2 < 40] += 400
LABELS = np.zeros((48, 60), np.uint16)
LABELS[5:15, 7:17], LABELS[15:25, 35:45], LABELS[15:25, 45:50] = 1, 2, 3


class Case(NamedTuple):
    """An input and what is done with it; `do` returns normally where it is accepted."""

    name: str
    do: object


def one_line(do, *arguments):
    """Whether it is accepted; a refusal is one line that UTF-8 can hold."""
    started = time.process_time()
    said = "accepted"
    try:
        do(*arguments)
    except HarnessError as error:
        said = str(error)
    assert "\n" not in said and len(said.encode()) < 6000
    assert time.process_time() - started < SECONDS
    return said == "accepted"


# ---- images and masks


def encoded(array, ending, **options):
    file = BytesIO()
    if ending == "tif":
        tifffile.imwrite(file, array, **options)
    else:
        iio.imwrite(file, array, extension=".png")
    return file.getvalue()


def damaged(content, chance):
    """Cut, flipped, filled, lengthened."""
    size = len(content)
    yield from ((f"cut-{share}", content[: int(share * size)]) for share in (0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99))
    for number in range(12):
        spoilt = bytearray(content)
        for _ in range(1 + number // 4 * 5):
            spoilt[chance.randrange(min(size, 400 if number % 2 else size))] ^= 1 << chance.randrange(8)
        yield f"flipped-{number}", bytes(spoilt)
    yield "zeros", bytes(size)
    yield "words", b"these are words, not pixels\n" * 9
    yield "twice", content + content
    yield "behind-others", b"\0" * 64 + content


def arrays():
    """Arrays that are no image, no mask or neither, by name."""
    grey = IMAGE.astype(np.float32)
    for name, value in (("nan", np.nan), ("inf", np.inf), ("-inf", -np.inf)):
        spoilt = grey.copy()
        spoilt[3, 4] = value
        yield name, spoilt
    for dtype in (
        bool,
        np.uint8,
        np.int8,
        np.int16,
        np.uint32,
        np.int32,
        np.uint64,
        np.int64,
        np.float16,
        np.float64,
        np.complex64,
    ):
        yield f"of-{np.dtype(dtype).name}", IMAGE.astype(dtype)
    for scale in (1e-45, 1e-38, 1e-20, 1e20, 1e35):
        yield f"times-{scale}", grey * np.float32(scale)
    for shape in ((1, 1), (1, 60), (48, 1), (2, 2), (3, 3), (5, 48, 60), (48, 60, 2), (48, 60, 3), (48, 60, 5), (2, 3, 48, 60)):
        yield f"shape-{'x'.join(map(str, shape))}", np.resize(IMAGE, shape)
    yield "constant", np.full_like(IMAGE, 7)
    yield "black", np.zeros_like(IMAGE)
    yield "negative", -IMAGE.astype(np.int32)
    yield "largest", np.full((48, 60), 2**64 - 1, np.uint64)
    yield "two-values", (IMAGE > 200).astype(np.uint8) * 255
    yield "checkers", (np.indices((48, 60)).sum(0) % 2).astype(np.uint8)


def headers():
    """TIFF files of 100 bytes that say the most of themselves."""
    for width, height, bits in (
        (30000, 30000, 8),
        (2**31, 2**31, 16),
        (0, 10, 8),
        (10, 0, 8),
        (65535, 65535, 64),
        (1, 2**32 - 1, 8),
    ):
        entries = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 8)]
        body = b"".join(struct.pack("<HHII", tag, 4, 1, min(value, 2**32 - 1)) for tag, value in entries)
        yield (
            f"says-{width}x{height}x{bits}",
            b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", 9) + body + bytes(4),
        )


def files(base):
    """Name to content of files that may be no images."""
    chance = random.Random(7)
    made = {}
    for ending in ("tif", "png"):
        made |= {f"{name}-{ending}.{ending}": content for name, content in damaged(encoded(base, ending), chance)}
    made |= {f"zlib-{name}.tif": content for name, content in damaged(encoded(base, "tif", compression="zlib"), chance)}
    made |= {f"{name}.tif": encoded(array, "tif", metadata=None) for name, array in arrays()}
    made |= {f"{name}.tif": content for name, content in headers()}
    made["png-called.tif"], made["tif-called.png"] = encoded(base, "png"), encoded(base, "tif")
    return made


def images(tmp_path):
    for name, content in files(IMAGE).items():
        path = tmp_path / f"image-{name}"
        yield Case(f"image-{name}", lambda path=path, content=content: (path.write_bytes(content), read_image(path)))


def masks(tmp_path):
    for name, content in files(LABELS).items():
        path = tmp_path / f"mask-{name}"
        yield Case(f"mask-{name}", lambda path=path, content=content: (path.write_bytes(content), read_nuclei(path)))


# ---- texts: split lists, registries, settings, manifests

LISTS = {
    "empty": b"",
    "blank": b"\n\n \n",
    "unknown": b"nobody\n",
    "twice": b"a\na\n",
    "path": b"../images/a\n",
    "root": b"/etc/passwd\n",
    "binary": bytes(range(256)),
    "utf16": "a\nb\n".encode("utf-16"),
    "bom": b"\xef\xbb\xbfa\n",
    "nul": b"a\0\n",
    "endless": b"a" * 10**6,
    "crlf": b"a\r\nb\r\n",
    "cr": b"a\rb\r",
    "all": b"a\nb\nc\nd\n",
    "ending": b"a.png\nb.TIF\n",
}


def lists(tmp_path):
    folder = tmp_path / "listed"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for name in "abcd":
        tifffile.imwrite(folder / "images" / f"{name}.tif", IMAGE)
        tifffile.imwrite(folder / "masks" / f"{name}.tif", LABELS)

    def open_with(split, content):
        shutil.rmtree(folder / "metadata", ignore_errors=True)
        (folder / "metadata").mkdir()
        (folder / "metadata" / f"{split}.txt").write_bytes(content)
        open_dataset(str(folder))

    for split in ("training", "validation", "test"):
        for name, content in LISTS.items():
            yield Case(f"list-{split}-{name}", lambda split=split, content=content: open_with(split, content))


LITERALS = (
    *(
        '""',
        '"x"',
        '"two\\nlines"',
        f'"{"x" * 1000}"',
        '"../../etc"',
        '"\\u0000"',
        '"\\u202e"',
        '"\\U0001F52C"',
        '"folder:a\\u0000b"',
        f'"folder:{"x" * 5000}"',
        "0",
        "-1",
        "1.5",
    ),
    *("1e308", "nan", "-inf", "true", "[]", "[1]", '["jaccard", 3]', "{}", "{a = 1}", "1979-05-27", "9" * 400, "[[[[]]]]"),
)
ROW = {"title": '"Mine"', "method": '"network"', "labels": '"consensus"', "settings": "{}", "refine": "[]", "loss": '"dice"'}
TABLE = {"title": '"T"', "metrics": '["jaccard"]', "published": "{mine = [0.5]}"}
BROKEN = (
    "",
    "x",
    "[rows",
    "[rows]",
    "rows = 3",
    "[[rows]]",
    "\0",
    "\ufeff[rows]",
    "x = " + "[" * 3000,
    "x = 1" + "0" * 5000,
    "[rows.a]\n" * 2,
)


def registry_texts():
    def text(row, table, head="", network=""):
        lines = [head, "[rows.mine]", *(f"{key} = {value}" for key, value in row.items()), network, "[tables.t]"]
        return "\n".join([*lines, *(f"{key} = {value}" for key, value in table.items())])

    for literal in LITERALS:
        for key in ROW:
            yield f"row-{key}-{literal:.20}", text(ROW | {key: literal}, TABLE)
        for key in TABLE:
            yield f"table-{key}-{literal:.20}", text(ROW, TABLE | {key: literal})
        for key in ("base", "last"):
            yield f"network-{key}-{literal:.20}", text(ROW, TABLE, network=f"network = {{{key} = {literal}}}")
        yield f"dataset-{literal:.20}", text(ROW, TABLE, head=f"dataset = {literal}")
        yield f"id-{literal:.20}", text(ROW, TABLE).replace("mine", literal if literal.startswith('"') else f'"{literal}"')
    yield from ((f"broken-{at}", each) for at, each in enumerate(BROKEN))


def registries(tmp_path):
    from harness.experiment.registry import load_registry, resolve

    data = SimpleNamespace(name="data", digest="0" * 64, splits={"training": (), "validation": (), "test": ()})

    def load(text):
        path = tmp_path / "own.toml"
        path.write_text(text, encoding="utf-8")
        registry = load_registry(path)
        for row in registry.rows:
            assert json.loads(resolve(registry, row, "smoke", data, 0).model_dump_json())

    for name, text in registry_texts():
        yield Case(f"registry-{name}", lambda text=text: load(text))


VALUES = (
    "",
    "0",
    "-1",
    "1",
    "1.5",
    "1e9",
    "1e308",
    "nan",
    "inf",
    "true",
    "x",
    "[]",
    "[0.2, 0.1]",
    "[0, nan]",
    "9" * 400,
    "9" * 5000,
    "[" * 3000,
)


def settings(_):
    from harness.cli import _settings
    from harness.sources import open_source
    from harness.sources.classical import Settings

    def label(pair):
        source = open_source("cellprofiler:shape/intensity", _settings([pair]), [])
        source.label(Field("field", lambda _: IMAGE, lambda _: None))

    for name in (*vars(Settings()), "no_such_setting"):
        for value in VALUES:
            yield Case(f"setting-{name}={value:.12}", lambda pair=f"{name}={value}": label(pair))
    yield Case("setting-without-equals", lambda: label("min_diameter"))


# ---- networks


def networks(tmp_path):
    import keras

    from harness.network.unet import unet

    whole_file = tmp_path / "network.keras"
    unet(base=2, last=2).save(whole_file)
    content, chance = whole_file.read_bytes(), random.Random(7)
    inputs = keras.Input((8, 8, 1))
    code = tmp_path / "code.keras"
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(code)
    given = {**dict(damaged(content, chance)), "code": code.read_bytes(), "text": b"{}"}
    for name, each in given.items():
        yield Case(f"network-{name}", lambda each=each: load_network(tmp_path, each))


def load_network(folder, content):
    import mlflow

    from harness.experiment import tracking

    (folder / "fetched").mkdir(exist_ok=True)
    (folder / "fetched" / "network.keras").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow.artifacts, "download_artifacts", lambda **_: str(folder / "fetched"))
        tracking.load_network("models:/x/1")


GROUPS = {each.__name__: each for each in (images, masks, lists, registries, settings)}


def tried(cases):
    """All cases; how many were accepted."""
    before, wrong, accepted, count = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [], 0, 0
    for case in cases:
        count += 1
        try:
            accepted += one_line(case.do)
        except Exception as error:  # noqa: BLE001  all are to be seen
            wrong.append(f"{case.name}: {type(error).__name__}: {str(error)[:300]}")
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    return count, accepted


@pytest.mark.filterwarnings("ignore")  # of decoders, about damaged files
@pytest.mark.parametrize("group", GROUPS)
def test_some_bad_inputs(group, tmp_path, chance):
    cases = list(GROUPS[group](tmp_path))
    tried(chance.sample(cases, 12))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", [*GROUPS, "networks"])
def test_every_bad_input(group, tmp_path, request):
    if group == "networks":
        request.getfixturevalue("backend")
    count, accepted = tried((GROUPS | {"networks": networks})[group](tmp_path))
    print(f"{group}: {count} inputs, {count - accepted} refused, {accepted} accepted")


# ---- whole commands


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_bad_image_costs_a_line_and_no_good_one_its_label_image(harness, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    given = {f"{at:03d}-{Path(name).stem}{Path(name).suffix}": content for at, (name, content) in enumerate(files(IMAGE).items())}
    for name, content in given.items():
        (folder / name).write_bytes(content)
    code, _, err = harness("label", "cellprofiler:shape/intensity", folder, "out")
    lines = err.splitlines()
    done = {path.stem for path in (tmp_path / "out").glob("*.tif")}
    assert code == 1 and all(line.startswith("harness: ") for line in lines)
    assert len(lines) + len(done) == len(given) and len(done) > 30
    assert not list((tmp_path / "out").glob("*.partial"))


def test_everything_that_is_wrong_with_a_folder_is_a_line_each(tmp_path, chance):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    wrong = chance.sample(sorted(damaged(encoded(LABELS, "png"), random.Random(7))), 8)
    for at, (_, content) in enumerate(wrong):
        tifffile.imwrite(tmp_path / "images" / f"{at}.tif", IMAGE)
        (tmp_path / "masks" / f"{at}.png").write_bytes(content)
    assert all("\n" not in line and str(tmp_path) in line for line in problems(tmp_path))


ARGUMENTS = (
    (),
    ("label",),
    ("label", "consensus"),
    ("label", "consensus", "nowhere", "out"),
    ("label", "consensus", "file", "out"),
    ("label", "consensus", "images", "file"),
    ("label", "consensus", "images", "file/out"),
    ("label", "consensus", "images", "o" * 300),
    ("label", "consensus", "images", "out", "--channel", "9" * 5000),
    ("label", "consensus", "images", "out", "--plane", "9" * 5000),
    ("label", "manual", "images", "out"),
    ("label", "magic", "images", "out"),
    ("label", "folder:", "images", "out"),
    ("label", "cellprofiler:", "images", "out"),
    ("label", "cellprofiler:shape/../x", "images", "out"),
    ("label", "consensus", "images", "out", "--workers", "0"),
    ("label", "consensus", "images", "out", "--refine", "magic"),
    ("label", "consensus", "images", "out", "--set", "a"),
    ("label", "consensus", "images", "out", "--set", "=1"),
    ("label", "consensus", "images", "out", "--export-pipeline", "file/x.cppipe"),
    ("segment", "nothing", "images", "out"),
    ("segment", "models:/nothing/1", "images", "out"),
    ("segment", "models:/", "images", "out"),
    ("segment", "runs:/../../x", "images", "out"),
    ("segment", "../x", "images", "out"),
    ("run",),
    ("run", ""),
    ("run", "../x"),
    ("run", "classical-shape-shape", "--dataset", ""),
    ("run", "classical-shape-shape", "--dataset", "file"),
    ("run", "classical-shape-shape", "--dataset", "images"),
    ("run", "classical-shape-shape", "--profile", ""),
    ("run", "classical-shape-shape", "--seed", "-1"),
    ("run", "classical-shape-shape", "--seed", "x"),
    ("run", "classical-shape-shape", "--file", "file"),
    ("run", "classical-shape-shape", "--file", "images"),
    ("run", "classical-shape-shape", "--workers", "0"),
    ("list", "--dataset", "nowhere"),
    ("list", "--dataset", "x" * 5000),
    ("errors", f"folder:{'x' * 5000}"),
    ("list", "--dataset", "bbbc039", "--data-dir", "file"),
    ("list", "--tracking-uri", "sqlite:///images"),
    ("list", "--tracking-uri", "sqlite:///file"),
    ("list", "--tracking-uri", "sqlite:///file/x.db"),
    ("list", "--tracking-uri", "sqlite:///empty.db"),
    ("list", "--tracking-uri", "sqlite:///cut.db"),
    ("list", "--tracking-uri", "sqlite:///other.db"),
    ("list", "--tracking-uri", "images"),
    ("list", "--tracking-uri", "gopher://x"),
    ("list", "--tracking-uri", "http://127.0.0.1:9"),
    ("list", "--tracking-uri", "http://"),
    ("list", "--tracking-uri", "postgresql://"),
    ("report", "--out", "file"),
    ("report", "--out", "x" * 300),
    ("report", "--out", "images"),
    ("report", "--out", "file/report"),
    ("describe", "nobody"),
    ("describe", "classical-shape-shape", "--dataset", "nowhere"),
    ("score", "", "images"),
    ("score", "../x", "images"),
    ("score", "tool", "nowhere"),
    ("score", "tool", "file"),
    ("score", "tool", "images"),
    ("score", "network-manual", "images"),
    ("compare",),
    ("compare", "nobody", "nothing"),
    ("compare", "--all", "--metric", "beauty"),
    ("budget", "--metric", "beauty"),
    ("budget", "--power", "2"),
    ("triage", "nobody"),
    ("errors", "nobody"),
    ("errors", "network:nobody"),
    ("bench", "magic"),
    ("magic",),
    ("--magic",),
)
ENVIRONMENTS = (
    {"HARNESS_DATA_DIR": "nowhere"},
    {"MLFLOW_TRACKING_URI": "sqlite:///images"},
    {"MLFLOW_TRACKING_URI": ""},
    {"MLFLOW_TRACKING_URI": "\udcff"},
    {"COLUMNS": "0"},
    {"COLUMNS": "many"},
    {"TERM": "magic"},
    {"LC_ALL": "C"},
    {"TZ": "Nowhere/None"},
    {"HOME": "/nowhere"},
    {"KERAS_BACKEND": "magic"},
    {"OMP_NUM_THREADS": "many"},
)


def odd_folder(folder):
    import sqlite3

    (folder / "images").mkdir()
    tifffile.imwrite(folder / "images" / "a.tif", IMAGE)
    (folder / "file").write_text("words")
    (folder / "empty.db").touch()
    (folder / "cut.db").write_bytes((folder / "mlflow.db").read_bytes()[:3000])
    with sqlite3.connect(folder / "other.db") as other:
        other.execute("CREATE TABLE runs (words TEXT)")


def refused(harness, arguments):
    code, out, err = harness(*arguments)
    assert code in (0, 1, 2) and "Traceback" not in out + err, (arguments, err)
    usage = "Usage:" in err or not arguments
    assert usage or bool(code) == bool(err), (arguments, code, err)
    assert usage or all(line.startswith("harness: ") for line in err.splitlines()), (arguments, err)
    return code


@pytest.mark.slow
def test_every_bad_argument(harness, tmp_path):
    odd_folder(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    codes = [refused(harness, arguments) for arguments in ARGUMENTS]
    print(f"arguments: {len(codes)} commands, {codes.count(2)} refused, {codes.count(1)} failed, {codes.count(0)} accepted")
    made = {path.name for path in tmp_path.iterdir()} - before
    assert made <= {"report", "mlruns", "mlartifacts"}, made


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda each: "-".join(each.items().__iter__().__next__())[:30])
def test_odd_environments(harness, tmp_path, environment, monkeypatch):
    odd_folder(tmp_path)
    for name, value in environment.items():
        monkeypatch.setitem(os.environ, name, value)
    code = refused(harness, ("list", "--json"))
    assert code == (2 if environment.get("MLFLOW_TRACKING_URI", "") else 0)
