"""Whatever OpenCV can open: a V4L2 camera by its stable path, a file, an RTSP or HTTP address.

Laws of this file:
- Nothing is waited for longer than the time-outs here; OpenCV's own are half a minute.
- A V4L2 camera is asked for JPEGs as they are, or YUYV of which the Y plane is the gray picture: no colour is made that
  nobody looks at. Everything else comes decoded, and is made gray.
- A device is named by its place (/dev/v4l/by-path/…): /dev/video0 is another camera after a replug.
"""

import os
from dataclasses import dataclass

# Whole seconds; the default of 10 would hide a stalled camera. Read by OpenCV when it is loaded.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.camera.frames import Camera, CameraLost, JpegPicture, Picture, PlanePicture, now_ns
from drivers.camera.mjpeg import MjpegCamera, without_password

OPEN_MS, READ_MS = 2000, 1500
MANUAL = 1  # V4L2_EXPOSURE_MANUAL
JPEG_START = b"\xff\xd8"


@dataclass(frozen=True)
class Wanted:
    """What the camera is asked for; it may answer with something else."""

    width: int = 1280
    height: int = 720
    rate: int = 30
    exposure_ms: float | None = None  # None: the camera's own


def open_camera(source: str, wanted: Wanted) -> Camera:
    """Open a camera by address: v4l2:/dev/v4l/by-path/…, file:…, rtsp://…, http://…. Raises CameraLost."""
    kind, _, rest = source.partition(":")
    if kind in ("http", "https"):
        return MjpegCamera(source)
    if kind == "v4l2":
        return VideoCamera(rest, cv2.CAP_V4L2, wanted)
    if kind == "file":
        return VideoCamera(rest, cv2.CAP_FFMPEG, wanted)
    if kind in ("rtsp", "rtsps", "udp", "video+http", "video+https"):
        return VideoCamera(source.removeprefix("video+"), cv2.CAP_FFMPEG, wanted)
    raise CameraLost(f"{kind}: unknown kind of camera", "write v4l2:/dev/v4l/by-path/…, rtsp://… or http://…")


class VideoCamera:
    """A camera or a file through cv2.VideoCapture."""

    patient = False  # a driver keeps few pictures, and they would be the oldest

    def __init__(self, where: str, backend: int, wanted: Wanted) -> None:
        self._where = without_password(where)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
        try:
            self._capture = cv2.VideoCapture(where, backend, limits if backend == cv2.CAP_FFMPEG else [])
        except cv2.error as error:
            raise CameraLost(f"{self._where}: {error.err}", "is it there, and may we open it (group video)?") from error
        if not self._capture.isOpened():
            raise CameraLost(f"{self._where}: cannot be opened", "is it there, and may we open it (group video)?")
        if backend == cv2.CAP_V4L2:
            self._ask(wanted)

    def read(self, within_s: float | None = None) -> Picture | None:
        """See the protocol; OpenCV waits as long as it was told at the beginning."""
        taken, raw = self._capture.read()
        if not taken or raw is None:
            raise CameraLost(f"{self._where}: no picture", "look at the camera's plug and power")
        return picture_of(np.asarray(raw, np.uint8), now_ns())

    def skip(self) -> int:
        """See the protocol: nothing waits here."""
        return 0

    def close(self) -> None:
        """See the protocol."""
        self._capture.release()

    def _ask(self, wanted: Wanted) -> None:
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.height)
        self._capture.set(cv2.CAP_PROP_FPS, wanted.rate)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        if wanted.exposure_ms is not None:
            self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL)
            self._capture.set(cv2.CAP_PROP_EXPOSURE, round(wanted.exposure_ms * 10))  # V4L2 counts tenths of a ms


def picture_of(raw: NDArray[np.uint8], arrived_ns: int) -> Picture:
    """What OpenCV handed over: a JPEG as it is, YUYV (two bytes a pixel), gray, or colours."""
    if raw.ndim == 1 or (raw.ndim == 2 and 1 in raw.shape):
        return JpegPicture(raw.tobytes(), arrived_ns)
    if raw.ndim == 2:
        return PlanePicture(raw, arrived_ns)
    if raw.shape[2] == 2:
        return PlanePicture(raw[:, :, 0], arrived_ns)
    return PlanePicture(np.asarray(cv2.cvtColor(raw, cv2.COLOR_BGR2GRAY), np.uint8), arrived_ns)
