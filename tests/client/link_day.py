"""What a host does with a link in a day, for any Python from 3.7 on: `python link_day.py FOLDER ENDPOINT PYTHON`.

FOLDER holds a copy of the package `link` and nothing else of this project; PYTHON has a bridge. Prints a JSON object.
"""

import json
import sys
import threading

folder, endpoint, python = sys.argv[1:]
sys.path.insert(0, folder)
before = set(sys.modules)

import link as links  # type: ignore[import-not-found]  # noqa: E402 - from the folder

seen: dict = {"python": list(sys.version_info[:2]), "threads": []}


def main() -> None:
    link = links.Link(python, endpoint=endpoint)
    spec = {"checkPlate": {"plate": {"pattern": "/Ünï ⁂/C:\\plates\\p.%04d.exr"}}}
    job = link.call("JobService/StartJob", {"spec": spec}).result(120)["job"]
    seen["pattern"] = job["spec"]["checkPlate"]["plate"]["pattern"]
    events = list(link.stream("JobService/WatchJob", {"id": job["id"]}))
    seen["frames"] = [e["event"]["frame"]["frame"] for e in events if "frame" in e.get("event", {})]
    try:
        link.call("understudy.v1.JobService/GetJob", {"id": "none"}).result(60)
    except links.NotFound as error:
        seen["error"] = [error.code, error.reason, error.field]
    told = threading.Event()

    def done(call: links.Call) -> None:
        seen["state"] = call.result()["job"]["state"]
        seen["threads"].append(threading.current_thread().name)
        told.set()

    link.call("JobService/GetJob", {"id": job["id"]}, done=done)
    assert told.wait(60)
    link.close()
    try:
        link.call("JobService/GetJob").result(5)
    except links.Closed as error:
        seen["closed"] = error.code


main()
foreign = {name.split(".")[0] for name in set(sys.modules) - before} & {
    "grpc",
    "google",
    "typer",
    "understudy",
}
print(json.dumps(dict(seen, foreign=sorted(foreign))))
