# SPDX-License-Identifier: Apache-2.0
"""Pages of our own that lie in files.

      client 10.9.0.9 ──> lb1 10.9.0.1:84 (nines) ──> web1 (a thread)
"""
import gzip
import os

import pytest

from proxylab import LB, Lab, echo, until

PAGES = """
  pages:
    listen: "lb1:84"
    check: none
    http2: true
    servers: ["web1:8080"]
    routes:
      - {path: /large, answer: {status: 503, body_file: FOLDER/large.html}}
      - {path: /small, answer: {status: 200, body_file: FOLDER/small, type: a/b}}
      - {path: /none, answer: {status: 404, body_file: FOLDER/none.json}}
"""


@pytest.fixture
def pages(tmp_path):
    made = Lab(tmp_path)
    large = os.urandom(1 << 19) + os.urandom(1 << 18).hex().encode()[:1 << 18]
    (tmp_path / "large.html").write_bytes(large)
    (tmp_path / "small").write_bytes(b"little\n")
    try:
        made.serve("web1", 8080, echo("web1"))
        made.start(PAGES.replace("FOLDER", str(tmp_path)))
        yield made, tmp_path, large
    finally:
        made.close()


def test_pages_from_files(pages):
    lab, folder, large = pages
    head, body = lab.get(84, "/large")
    assert head.status == 503 and head["content-type"] == "text/html; charset=utf-8"
    assert body == large
    head, body = lab.get(84, "/small")
    assert head.status == 200 and head["content-type"] == "a/b" and body == b"little\n"
    # What cannot be read says its status, and is told.
    head, body = lab.get(84, "/none")
    assert head.status == 404 and body == b"Not Found"
    assert head["content-type"] == "application/json"
    until(lambda: "none.json: No such file" in lab.fact("proxy page pages"), "it is told")
    head = lab.connect(84)
    head.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\n\r\n")
    assert head.head()["content-length"] == str(len(large))
    assert head.answer()[1] == b"little\n"
    head.close()


CODED = """
  pages:
    listen: "lb1:84"
    check: none
    http2: true
    compression: {codings: [zstd, gzip], minimum: 100B}
    servers: ["web1:8080"]
    routes:
      - {path: /large, answer: {status: 503, body_file: FOLDER/text.html}}
      - {path: /short, answer: {status: 200, body: "few words"}}
      - {path: /long, answer: {status: 200, body: "LONG", type: text/css}}
      - {path: /image, answer: {status: 200, body_file: FOLDER/text.html, type: image/png}}
      - {path: /tagged, answer: {status: 200, body_file: FOLDER/text.html}, answer_headers: {set: {ETag: '"1"'}}}
      - {path: /noise, answer: {status: 200, body_file: FOLDER/noise.txt, type: text/plain}}
"""


def test_compressed_pages(tmp_path):
    """Of what is worth it, in the coding that the client likes."""
    lab = Lab(tmp_path)
    words = b"<p>the service is being repaired</p>\n" * 500
    noise = os.urandom(4000)
    (tmp_path / "text.html").write_bytes(words)
    (tmp_path / "noise.txt").write_bytes(noise)

    def get(path, accept):
        return lab.get(84, path, f"Accept-Encoding: {accept}\r\n")
    try:
        lab.serve("web1", 8080, echo("web1"))
        text = CODED.replace("FOLDER", str(tmp_path)).replace("LONG", "long words " * 50)
        lab.start(text)
        for _ in range(2):
            head, body = get("/large", "gzip")
            assert head.status == 503 and head["content-encoding"] == "gzip"
            assert head["vary"] == "Accept-Encoding" and gzip.decompress(body) == words
            assert len(body) == int(head["content-length"]) < 1000
            head, body = get("/large", "br")
            assert head["content-encoding"] is None and head["vary"] == "Accept-Encoding"
            assert body == words
            head, body = get("/long", "gzip;q=0.5, zstd")
            assert head["content-encoding"] == "zstd" and head["content-type"] == "text/css"
            for path, whole in ("/short", b"few words"), ("/image", words), ("/tagged", words), \
                    ("/noise", noise):
                head, body = get(path, "gzip, zstd")
                assert head["content-encoding"] is None and head["vary"] is None and body == whole
            lab.order("reload")  # what is known is taken over
        head = lab.connect(84)
        head.send("HEAD /large HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        assert head.head()["content-encoding"] == "gzip"
        head.close()
        (tmp_path / "text.html").write_bytes(words[:2000])
        lab.order("reload")
        until(lambda: gzip.decompress(get("/large", "gzip")[1]) == words[:2000], "the new page")
        lab.write(text.replace("compression: {codings: [zstd, gzip], minimum: 100B}", "pool: 5"))
        lab.order("reload")
        until(lambda: get("/large", "gzip")[0]["vary"] is None, "it is off")
    finally:
        lab.close()


def test_page_for_a_slow_client_over_a_reload(pages):
    """What has begun ends with the page that it began with."""
    lab, folder, large = pages
    stream = lab.connect(84)
    stream.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    head = stream.head()
    (folder / "large.html").write_bytes(b"new")
    (folder / "none.json").write_bytes(b"{}")
    lab.order("reload")
    until(lambda: lab.get(84, "/large")[1] == b"new", "the new page")
    until(lambda: lab.get(84, "/none")[1] == b"{}", "the new page")
    assert stream.body(head) == large
    until(lambda: lab.fact("proxy page pages") == "", "nothing to tell any more")
    stream.close()


def test_page_that_went_away(pages):
    lab, folder, large = pages
    (folder / "none.json").write_bytes(b"{}")
    lab.order("reload")
    (folder / "large.html").unlink()
    (folder / "small").write_bytes(b"")
    refused = lab.control("reload")
    assert not refused["ok"] and "a page of service pages: " in refused["error"]
    assert lab.get(84, "/large")[1] == large and lab.get(84, "/small")[1] == b"little\n"
    (folder / "large.html").write_bytes(b"x" * (1 << 20))
    (folder / "small").write_bytes(b"x" * ((1 << 20) + 1))
    assert "more than 1 MiB" in lab.control("reload")["error"]
    until(lambda: lab.get(84, "/large")[1] == b"x" * (1 << 20), "the new page")


def test_pages_over_http2(pages, tmp_path):
    lab, _, large = pages
    got = tmp_path / "got"
    for _ in range(3):
        lab.curl("--http2-prior-knowledge", "--limit-rate", "8M", "-o", str(got),
                 f"http://{LB}:84/large")
        assert got.read_bytes() == large
