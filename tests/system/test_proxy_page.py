# SPDX-License-Identifier: Apache-2.0
"""Pages of our own that lie in files.

      client 10.9.0.9 ──> lb1 10.9.0.1:84 (nines) ──> web1 (a thread)
"""
import os

import pytest

from proxylab import LB, Lab, echo, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")

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
    assert "none.json: No such file" in lab.fact("proxy page pages")
    head = lab.connect(84)
    head.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\n\r\n")
    assert head.head()["content-length"] == str(len(large))
    assert head.answer()[1] == b"little\n"
    head.close()


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
    assert lab.fact("proxy page pages") == ""
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
