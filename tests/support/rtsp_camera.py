"""An RTSP camera on loopback: /usr/bin/python3 rtsp_camera.py PORT [RATE]. Prints "ready" when clients may connect.

The system's Python runs this file, because Debian's packages put GStreamer's RTSP server there:
gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate={rate}/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={rate} ! rtph264pay name=pay0 pt=96 )"
)


def main() -> None:
    Gst.init(None)
    port, rate = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "10"
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(LAUNCH.format(rate=rate))
    factory.set_shared(True)
    server.get_mount_points().add_factory("/live", factory)
    if server.attach(None) == 0:
        sys.exit(f"port {port} is in use")
    print("ready", flush=True)
    GLib.MainLoop().run()


main()
