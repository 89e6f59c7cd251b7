"""The daemon is started from inside Blender, dies under a training, and is there again.

Arguments: folder of a shot, folder to write to, a release.
"""

import os
import signal
import time

folder, out, release = arguments
os.environ["UNDERSTUDY_STATE"] = os.path.join(out, "state")
runner, way, preferences = module("runner"), module("way"), module("preferences").preferences()
settings = bpy.context.scene.understudy


def state():
    job = next(iter(runner.known()), {})
    return job.get("state", "").replace("JOB_STATE_", ""), int(
        (job.get("training") or {}).get("iteration", 0)
    )


def polled(wanted, seconds):
    """As the timer does, which does not fire in background."""
    until = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < until, (way.words(), runner.known())
        way.poll()
        runner.wait(wanted, 0.3)


processes = []
try:
    # None may start one by itself: only the button does
    preferences.start = "never"
    result["before"] = way.words()
    bpy.ops.understudy.jobs_refresh()
    runner.wait(lambda: runner.problem, 120)
    result["problem"] = runner.problem
    runner.problem = ""
    bpy.ops.understudy.daemon_start(wait=True)
    processes.append(int(way.info["processId"]))
    result["after"] = way.words()
    result["one"] = processes[0]

    # A training; the daemon is killed, and the bridge starts another
    settings.src_faceset, settings.dst_faceset = os.path.join(folder, "src"), os.path.join(folder, "faceset")
    settings.model, settings.preset, settings.release = os.path.join(out, "b.model"), "quick64", release
    bpy.ops.understudy.train()
    runner.wait(lambda: state()[0] == "RUNNING" and state()[1] > 0, 200)
    result["running"] = state()[0]
    os.kill(processes[0], signal.SIGKILL)
    polled(lambda: way.info and int(way.info["processId"]) != processes[0], 200)
    processes.append(int(way.info["processId"]))
    result["another"] = processes[1] != processes[0]
    polled(lambda: state()[0] == "RUNNING", 200)
    result["goes_on"] = [state()[0], way.trouble]

    # Where none may be started it is said, and the button is the way back
    runner.disconnect()
    result["apart"] = way.words()
    bpy.ops.understudy.jobs_refresh()
    polled(lambda: state()[0] == "RUNNING" and way.info, 120)
    os.kill(processes[1], signal.SIGKILL)
    polled(lambda: way.trouble, 200)
    result["trouble"] = way.words()
    bpy.ops.understudy.daemon_start(wait=True)
    processes.append(int(way.info["processId"]))
    bpy.ops.understudy.jobs_refresh()
    polled(lambda: state()[0] == "RUNNING", 200)
    result["back"] = [state()[0], way.trouble]
    bpy.ops.understudy.job(job=runner.known()[0]["id"], what="CancelJob")
    polled(lambda: state()[0] == "CANCELLED", 200)
    result["end"] = state()[0]
finally:
    if processes:
        os.kill(processes[-1], signal.SIGTERM)
