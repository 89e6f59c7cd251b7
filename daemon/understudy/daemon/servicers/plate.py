"""PlateService."""

from __future__ import annotations

from itertools import islice

import grpc

from understudy.core.colour import ColourConfig
from understudy.core.frames import Window
from understudy.core.plate import info
from understudy.daemon import encode
from understudy.daemon.refs import Refs
from understudy.daemon.site import SiteOf
from understudy.daemon.text import text
from understudy.v1 import plate_pb2, plate_pb2_grpc

UNREADABLE_MOST = 1000  # with their messages; a reply has 4 MiB


class PlateServicer(plate_pb2_grpc.PlateServiceServicer):
    def __init__(self, site: SiteOf, colour: ColourConfig) -> None:
        self._site, self._colour = site, colour

    def GetPlate(
        self, request: plate_pb2.GetPlateRequest, context: grpc.ServicerContext
    ) -> plate_pb2.GetPlateResponse:
        refs = Refs(site=self._site(context), colour=self._colour)
        plate = refs.plate(request.plate, "plate", colour=False)
        return plate_pb2.GetPlateResponse(plate=_plate(info.describe(plate)))


def _plate(found: info.PlateInfo) -> plate_pb2.Plate:
    plate, present = found.plate, list(found.plate.present)
    return plate_pb2.Plate(
        pattern=plate.template.hashes,
        format=found.format,
        frames=encode.segments(plate.present),
        missing=encode.segments(plate.missing),
        first=present[0] if present else 0,
        last=present[-1] if present else 0,
        count=len(present),
        size_bytes=found.size,
        views=found.views,
        parts=map(_part, found.parts),
        dpx=_dpx(found.dpx) if found.dpx else None,
        colour=_colour(found.colour),
        timecode=_timecode(found),
        rate=plate_pb2.Rational(numerator=found.rate.numerator, denominator=found.rate.denominator)
        if found.rate
        else None,
        slate=_slate(found.slate),
        differences=map(_difference, found.differing),
        unreadable=[
            plate_pb2.UnreadableFrame(frame=frame, message=text(why))
            for frame, why in islice(found.unreadable.items(), UNREADABLE_MOST)
        ],
    )


def _part(part: info.Part) -> plate_pb2.PlatePart:
    layers = [
        plate_pb2.PlateLayer(
            name=layer.name,
            channels=[plate_pb2.PlateChannel(name=name, type=kind) for name, kind in layer.channels.items()],
        )
        for layer in part.layers
    ]
    return plate_pb2.PlatePart(
        name=part.name,
        view=part.view,
        display=_window(part.display),
        data=_window(part.data),
        pixel_aspect=part.pixel_aspect,
        layers=layers,
        compression=part.compression,
        lossy=part.lossy,
        tiles=plate_pb2.TileSize(width=part.tiles[0], height=part.tiles[1]) if part.tiles else None,
        line_order=part.line_order,
    )


def _window(window: Window) -> plate_pb2.PlateWindow:
    return plate_pb2.PlateWindow(x=window.x, y=window.y, width=window.width, height=window.height)


def _dpx(dpx: info.DpxCoding) -> plate_pb2.DpxCoding:
    return plate_pb2.DpxCoding(bits=dpx.bits, packing=dpx.packing, endian=dpx.endian, transfer=dpx.transfer)


def _colour(colour: info.Colour) -> plate_pb2.PlateColour:
    return plate_pb2.PlateColour(
        guess=colour.guess or "", interop_id=colour.interop_id, chromaticities=colour.chromaticities
    )


def _timecode(found: info.PlateInfo) -> plate_pb2.PlateTimecode | None:
    if found.first_timecode is None:
        return None
    broken = found.timecode_break
    return plate_pb2.PlateTimecode(
        first=str(found.first_timecode),
        last=str(found.last_timecode),
        continuous=broken is None,
        break_frame=broken.frame if broken else None,
        break_timecode=str(broken.timecode) if broken else "",
        before_break=str(broken.before) if broken else "",
    )


def _slate(slate: info.Slate) -> plate_pb2.PlateSlate:
    return plate_pb2.PlateSlate(
        reel=slate.reel,
        key_code=slate.key_code,
        camera=slate.camera,
        lens=slate.lens,
        owner=slate.owner,
    )


def _difference(differing: info.Differing) -> plate_pb2.PlateDifference:
    difference = differing.difference
    return plate_pb2.PlateDifference(
        what=difference.what,
        frames=encode.segments(differing.frames),
        expected=difference.expected,
        found=difference.found,
    )
