"""Scrapes an address a bounded number of times, one after another, over one connection: a process of its own.

`python -m bench.scraper HOST PORT COUNT` prints the milliseconds of each, from the request to the last byte, as JSON.
"""

import http.client
import json
import subprocess
import sys
import time

PAUSE = 0.02
_TIMEOUT = 30


def scrape(host: str, port: int, count: int) -> list[float]:
    """Milliseconds of each scrape. Raises ConnectionError if an answer is not a 200."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise ConnectionError(f"{host}:{port} answered {answer.status}")
        time.sleep(PAUSE)
    connection.close()
    return times


def from_outside(port: int, count: int) -> list[float]:
    """The same, from another process."""
    command = [sys.executable, "-m", "bench.scraper", "127.0.0.1", str(port), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    times: list[float] = json.loads(done.stdout)
    return times


if __name__ == "__main__":
    print(json.dumps(scrape(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
