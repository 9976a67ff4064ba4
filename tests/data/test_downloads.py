"""Well-known datasets are fetched from a mirror, checked, kept and gone on with; here the mirror is a server of our own."""

import dataclasses
import gzip
import hashlib
import http.server
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from arstudio.data import SOURCES, DatasetError, load
from arstudio.data import downloads as room
from arstudio.progress import Cancelled, Progress


def idx(x):
    x = np.asarray(x, dtype=np.uint8)
    return bytes([0, 0, 8, x.ndim]) + b"".join(n.to_bytes(4, "big") for n in x.shape) + x.tobytes()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, with ranges; `server.asked` are the requests, `server.cut` ends an answer early, once."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.translate_path(self.path)
        try:
            data = Path(path).read_bytes()
        except OSError:
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path.rpartition("/")[2], wanted))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if self.server.cut:
            body, self.server.cut = body[:self.server.cut], 0
        self.wfile.write(body)


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    served.asked, served.cut, served.folder = [], 0, folder
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture
def small(server, tmp_path, monkeypatch):
    """KMNIST as this server has it: 30 training and 10 test images."""
    rng = np.random.default_rng(0)
    files = {}
    for name, count in (("train", 30), ("t10k", 10)):
        for kind, data in (("images-idx3", rng.integers(0, 256, (count, 28, 28))), ("labels-idx1", np.arange(count) % 10)):
            file = f"{name}-{kind}-ubyte.gz"
            packed = gzip.compress(idx(data))
            (server.folder / file).write_bytes(packed)
            files[file] = room.Published(hashlib.md5(packed).hexdigest(), len(packed))
    monkeypatch.setenv("ARSTUDIO_DATA", str(tmp_path / "cache"))
    mirror = f"http://127.0.0.1:{server.server_address[1]}/"
    monkeypatch.setitem(room.SOURCES, "kmnist", dataclasses.replace(SOURCES["kmnist"], mirrors=(mirror,), files=files))
    return files


def test_a_dataset_is_fetched_once_and_then_kept(server, small, tmp_path):
    told = []

    class Told(Progress):
        def report(self, fraction, text=""):
            told.append((fraction, text))

    data = load("kmnist", progress=Told())
    assert data.info.splits == {"train": 27, "validation": 3, "test": 10}
    assert data.classes == room.KANA
    assert len(server.asked) == 4
    assert told[-1][0] == pytest.approx(1.0)
    assert "Fetching" in told[0][1]
    again = load("kmnist", levels=2)
    assert len(server.asked) == 4
    assert np.array_equal(again.test.y, data.test.y)
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_download_that_was_cut_short_goes_on_where_it_stopped(server, small, monkeypatch):
    monkeypatch.setattr(room, "PIECE", 1000)
    server.cut = 5000
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte.gz of Kuzushiji-MNIST could not be fetched"):
        load("kmnist")
    assert load("kmnist").info.splits["test"] == 10
    first, second = (wanted for file, wanted in server.asked if file == "train-images-idx3-ubyte.gz")
    assert first is None
    assert second == "bytes=5000-"


def test_stopping_keeps_what_was_fetched(server, small, tmp_path):
    class Stopped(Progress):
        def check(self):
            raise Cancelled

    with pytest.raises(Cancelled):
        load("kmnist", progress=Stopped())
    assert load("kmnist").info.splits["train"] == 27


def test_another_file_than_the_published_one_is_never_used(server, small):
    (server.folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.ones(10))))
    with pytest.raises(DatasetError, match="sent another file than the published one"):
        load("kmnist")


def test_the_next_mirror_is_asked_where_one_does_not_answer(server, small, monkeypatch):
    kmnist = room.SOURCES["kmnist"]
    monkeypatch.setitem(
        room.SOURCES, "kmnist", dataclasses.replace(kmnist, mirrors=(kmnist.mirrors[0] + "gone/", *kmnist.mirrors))
    )
    assert load("kmnist").info.splits["test"] == 10


def test_without_any_mirror_the_sentence_says_where_to_put_the_file(server, small, monkeypatch, tmp_path):
    kmnist = room.SOURCES["kmnist"]
    monkeypatch.setitem(room.SOURCES, "kmnist", dataclasses.replace(kmnist, mirrors=("http://127.0.0.1:9/",)))
    with pytest.raises(DatasetError, match=r"goes on from there; or put the files into .*kmnist yourself\.$"):
        load("kmnist")


def test_the_sources_are_complete():
    assert set(SOURCES) == {"mnist-70k", "fashion-70k", "kmnist", "cifar-10", "cifar-100"}
    for name, source in SOURCES.items():
        assert source.info.name == name
        assert all(mirror.endswith("/") for mirror in source.mirrors)
        assert all(len(file.md5) == 32 for file in source.files.values())
        assert source.info.source
        assert sum(source.info.splits.values()) in (70_000, 60_000)


@pytest.mark.parametrize(("name", "published"), [
    ("mnist-70k", 9_912_422 + 28_881 + 1_648_877 + 4_542),
    ("fashion-70k", 26_421_880 + 29_515 + 4_422_102 + 5_148),
    ("kmnist", 18_165_135 + 29_497 + 3_041_136 + 5_120),
    ("cifar-10", 170_052_171),
    ("cifar-100", 168_513_733),
])
def test_every_file_counts_towards_what_is_fetched(name, published):
    source = SOURCES[name]
    assert source.bytes == published
    for file in source.files:
        rest = {other: entry for other, entry in source.files.items() if other != file}
        assert dataclasses.replace(source, files=rest).bytes == published - source.files[file].bytes < published


def test_without_a_network_one_sentence_says_so_and_nothing_is_lost(small, server, monkeypatch, tmp_path):
    first = next(iter(small))
    folder = tmp_path / "cache" / "kmnist"
    folder.mkdir(parents=True)
    (folder / f"{first}.part").write_bytes(b"begun")
    monkeypatch.setitem(
        room.SOURCES, "kmnist",
        dataclasses.replace(room.SOURCES["kmnist"], mirrors=("http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/")),
    )
    assert (room.missing("kmnist"), room.begun("kmnist")) == (4, 5)
    with pytest.raises(DatasetError) as caught:
        load("kmnist")
    assert str(caught.value).startswith("Kuzushiji-MNIST could not be fetched: 127.0.0.1:9 and 127.0.0.1:9 cannot be reached.")
    assert "HTTPConnectionPool" not in str(caught.value)
    assert (folder / f"{first}.part").read_bytes() == b"begun"


def test_what_is_here_already_is_counted(small):
    assert room.missing("kmnist") == 4
    load("kmnist")
    assert room.missing("kmnist") == 0
    assert room.begun("kmnist") == room.SOURCES["kmnist"].bytes
