"""Writes the rules and the dashboards: `python -m alerts.generate`.

With `--runbooks https://…/` the alerts' links to the runbooks, which are paths in this repository, become addresses.
`--into FOLDER` leaves the files of the repository as they are.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from alerts import rules
from alerts.grafana import generate as dashboards

HERE = Path(__file__).resolve().parent


def files(runbooks: str = "") -> Mapping[str, str]:
    """Each file's text by its path from here."""
    before = f"{runbooks.rstrip('/')}/" if runbooks else ""
    boards = {f"grafana/{name}": dashboards.text(make) for name, make in dashboards.FILES.items()}
    return {"prometheus-rules.yaml": rules.text(before), **boards}


def main() -> None:
    """Write them all."""
    parser = argparse.ArgumentParser(prog="python -m alerts.generate", description=__doc__)
    parser.add_argument("--runbooks", default="", metavar="URL", help="where the repository's root is to be read")
    parser.add_argument("--into", type=Path, default=HERE, metavar="FOLDER", help="where to write (default: here)")
    chosen = parser.parse_args()
    for name, text in files(chosen.runbooks).items():
        path = chosen.into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"written: {name}")


if __name__ == "__main__":
    main()
