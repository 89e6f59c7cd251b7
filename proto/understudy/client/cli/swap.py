"""`understudy swap`: the whole way from two videos or plates to finished frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from understudy.client import lines
from understudy.client.cli import options
from understudy.client.cli.context import State, segments
from understudy.client.cli.follow import exit_code, follow, refuse_to_leave, warnings_line
from understudy.client.job import Job
from understudy.client.progress import clock, title
from understudy.client.swap import Swap, SwapResult, SwapSettings


def command(
    context: typer.Context,
    *,
    src: Annotated[str, typer.Option("--src", metavar="VIDEO|PLATE", help="The face that is put on.")],
    dst: Annotated[str, typer.Option("--dst", metavar="VIDEO|PLATE", help="The performance that stays.")],
    out: Annotated[str, typer.Option("--out", metavar="COMP.####.exr", help="The finished frames.")],
    frames: options.Frames = None,
    src_frames: Annotated[
        options.Text, typer.Option("--src-frames", metavar="RANGE", help="Frames of src. Default: all.")
    ] = None,
    frames_dialect: options.Dialect = "fileseq",
    preset: options.Preset = "",
    iterations: options.Iterations = None,
    minutes: options.Minutes = None,
    release: options.Release = "",
    work: Annotated[
        str,
        typer.Option(
            "--work", metavar="FOLDER", help="For all in between. Default: COMP_work beside the output."
        ),
    ] = "",
    src_track: options.SrcTrack = None,
    dst_track: options.DstTrack = None,
    src_colour_space: Annotated[
        str, typer.Option("--src-colour-space", help="Of src, if its files lie.")
    ] = "",
    dst_colour_space: Annotated[
        str, typer.Option("--dst-colour-space", help="Of dst, if its files lie.")
    ] = "",
    view: Annotated[
        options.Texts,
        typer.Option("--view", metavar="NAME", help="Of a stereo dst; repeatable. Default: all."),
    ] = None,
    recipe: options.RecipeFile = None,
    recipe_from: options.RecipeFrom = "",
    match: options.Match = None,
    blend: options.Blend = None,
    mask: options.Mask = None,
    erode: options.Erode = None,
    feather: options.Feather = None,
    mask_smooth: options.MaskSmooth = None,
    set_: options.LookSets = None,
    segmenter: options.Segmenter = "",
    enhancer: options.Enhancer = "",
    limit_matte: options.LimitMattes = None,
    add_matte: options.AddMattes = None,
    keep_matte: options.KeepMattes = None,
    matte_channel: options.MatteChannel = "",
    device: options.Device = "",
    seed: options.Seed = 0,
    layers: options.Layers = None,
    no_layers: options.NoLayers = False,
    detach: options.Detach = False,
) -> None:
    """Put the face of src on the performance of dst.

    Videos are ingested, faces found, a model trained for 10 minutes, frames merged.

    The same command again goes on where the last one stopped, and does nothing twice.

    One person a swap: for several in a shot, train a model each, then `understudy merge --person`.
    """
    state = State.of(context)
    look = options.look(
        recipe,
        set_,
        frames_dialect,
        frame=recipe_from,
        match=match,
        blend=blend,
        mask=mask,
        erode=erode,
        feather=feather,
        mask_smooth=mask_smooth,
    )
    settings = SwapSettings(
        src=src,
        dst=dst,
        output=out,
        frames=segments(frames, frames_dialect),
        src_frames=segments(src_frames, frames_dialect, "src_frames"),
        preset=preset,
        iterations=iterations,
        minutes=minutes,
        release=release,
        work=work,
        src_track=src_track,
        dst_track=dst_track,
        src_colour_space=src_colour_space,
        dst_colour_space=dst_colour_space,
        views=view or (),
        device=device,
        seed=seed,
        layers=options.layers(layers, no_layers=no_layers),
        segmenter=segmenter,
        enhancer=enhancer,
        user_mattes=options.user_mattes(
            frames_dialect, limit=limit_matte, add=add_matte, keep=keep_matte, channel=matte_channel
        ),
    )
    settings.work_folder()  # an output without a frame token is told before a daemon is started
    with state.session() as session:
        refuse_to_leave(session, detach)
        swap = session.swap(replace(settings, recipe=look(session)))
        if detach:
            for job in swap.jobs:
                state.result("started", job.message, f"{job.id}  {title(job)}")
            return
        follow(state, swap.jobs)
        _report(state, swap)
        state.exit_code = exit_code(swap.jobs[-1])


def _report(state: State, swap: Swap) -> None:
    """Print what was made."""
    result = swap.result()
    if state.as_json:
        data = {
            "output": result.output,
            "frames": result.frames,
            "failed": [lines.plain(report) for report in result.failed],
            "artifacts": [lines.plain(artifact) for artifact in result.artifacts],
            "seconds": result.seconds,
        }
        print(lines.line("result", data), flush=True)
        return
    print("\n".join(_summary(swap.jobs[-1], result)))


def _summary(merge: Job, result: SwapResult) -> list[str]:
    made = {"output": result.output} | {
        name: result.artifact(kind)
        for name, kind in (("contact sheet", "contact_sheet"), ("model", "model"), ("manifest", "manifest"))
    }
    count = result.frames
    done = sum(count.get(state, 0) for state in ("DONE", "SKIPPED", "NO_FACE"))
    skipped, no_face = count.get("SKIPPED", 0), count.get("NO_FACE", 0)
    notes = [f"{skipped} of them before", f"{no_face} without a face"]
    noted = ", ".join(note for note, number in zip(notes, (skipped, no_face)) if number)
    text = [f"{name:<14}{path}" for name, path in made.items() if path]
    text.append(
        f"{'frames':<14}{done} done{' (' + noted + ')' if noted else ''}, {count.get('FAILED', 0)} failed, "
        f"{count.get('MISSING', 0)} missing"
    )
    if result.warned:
        text.append(warnings_line(merge, len(result.warned)))
    text.append(f"{'time':<14}" + ", ".join(f"{name} {clock(s)}" for name, s in result.seconds.items()))
    return text
