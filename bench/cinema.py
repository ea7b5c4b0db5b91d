"""Paints a film as an animated WebP: windows below each other on a ground of their own, caption and key below them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPen
from rich.text import Text

from bench.film import Film, Moment, ScreenSight, Sight, TerminalSight
from bench.terminal_pictures import CELL_HEIGHT, CELL_WIDTH, paint_rows

SCALE = 2  # pixels of the file for each that a page shows, so that it is sharp on a dense screen, too
MARGIN, GAP, TITLE, STRIP, RADIUS = 16, 12, 26, 44, 8
INSET = 8  # around the text of a terminal
GROUND, BAR, INK, FAINT = "#33475b", "#2a2d31", "#f2f4f6", "#9aa0a6"
PAPER = "#000000"
LAST_S = 2.5  # that the last picture stands before the film begins again


class Window(NamedTuple):
    title: str
    width: int
    height: int


def terminal_window(title: str, columns: int, rows: int) -> Window:
    return Window(title, columns * CELL_WIDTH + 2 * INSET, rows * CELL_HEIGHT + 2 * INSET)


def save(film: Film, windows: Sequence[Window], path: Path) -> None:
    frames = [(_as_pillow(paint(moment, windows)), round(seconds * 1000)) for moment, seconds in film.moments]
    (first, _), *rest = frames
    durations = [milliseconds for _, milliseconds in frames]
    durations[-1] += round(LAST_S * 1000)
    first.save(
        path,
        save_all=True,
        append_images=[frame for frame, _ in rest],
        duration=durations,
        loop=0,
        lossless=True,
        quality=100,
        method=4,
        minimize_size=False,
    )


def paint(moment: Moment, windows: Sequence[Window]) -> QImage:
    width = max(window.width for window in windows) + 2 * MARGIN
    height = MARGIN + sum(TITLE + window.height + GAP for window in windows) + STRIP
    image = QImage(width * SCALE, height * SCALE, QImage.Format.Format_RGB888)
    image.fill(QColor(GROUND))
    painter = QPainter(image)
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
    painter.scale(SCALE, SCALE)
    for (window, top), sight in zip(_placed(windows), moment.sights, strict=True):
        _paint_window(painter, window, top)
        painter.save()
        painter.translate(MARGIN, top + TITLE)
        _paint_sight(painter, sight)
        painter.restore()
    _paint_strip(painter, QRectF(MARGIN, height - STRIP - GAP / 2, width - 2 * MARGIN, STRIP), moment)
    painter.end()
    return image


def _placed(windows: Sequence[Window]) -> Iterator[tuple[Window, int]]:
    top = MARGIN
    for window in windows:
        yield window, top
        top += TITLE + window.height + GAP


def _paint_window(painter: QPainter, window: Window, top: int) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(BAR))
    painter.drawRoundedRect(QRectF(MARGIN, top, window.width, TITLE + window.height), RADIUS, RADIUS)
    bar = QRectF(MARGIN, top, window.width, TITLE)
    _write(painter, bar, window.title, 13, FAINT, Qt.AlignmentFlag.AlignCenter)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(PAPER))
    painter.drawRoundedRect(QRectF(MARGIN, top + TITLE, window.width, window.height), RADIUS, RADIUS)
    painter.drawRect(QRectF(MARGIN, top + TITLE, window.width, RADIUS))


def _paint_sight(painter: QPainter, sight: Sight) -> None:
    match sight:
        case TerminalSight():
            _paint_terminal(painter, sight)
        case ScreenSight(pixels, width, height):
            image = QImage(pixels, width, height, QImage.Format.Format_RGB32)
            painter.drawImage(QRectF(0, 0, width / SCALE, height / SCALE), image)


def _paint_terminal(painter: QPainter, sight: TerminalSight) -> None:
    painter.translate(INSET, INSET)
    paint_rows(painter, Text("\n").join(map(Text.from_ansi, sight.rows.split("\n"))), "dark")
    if sight.cursor:
        column, row = sight.cursor
        painter.fillRect(column * CELL_WIDTH, row * CELL_HEIGHT, CELL_WIDTH, CELL_HEIGHT, QColor(FAINT))


def _paint_strip(painter: QPainter, strip: QRectF, moment: Moment) -> None:
    _write(painter, strip, moment.caption, 19, INK, Qt.AlignmentFlag.AlignLeft)
    if moment.key:
        width = max(40, 26 + 12 * len(moment.key))
        cap = QRectF(strip.right() - width, strip.top() + 3, width, strip.height() - 6)
        painter.setPen(QPen(QColor("#c9ced3"), 1))
        painter.setBrush(QColor("#ffffff"))
        painter.drawRoundedRect(cap, 6, 6)
        painter.drawLine(cap.bottomLeft() + QPointF(5, -4), cap.bottomRight() + QPointF(-5, -4))
        _write(painter, cap.adjusted(0, 0, 0, -4), moment.key, 20, "#16181b", Qt.AlignmentFlag.AlignCenter)


def _write(painter: QPainter, box: QRectF, text: str, size: int, color: str, align: Qt.AlignmentFlag) -> None:
    font = QFont("DejaVu Sans")
    font.setPixelSize(size)
    painter.setFont(font)
    painter.setPen(QColor(color))
    painter.drawText(box, align | Qt.AlignmentFlag.AlignVCenter, text)


def _as_pillow(image: QImage) -> Image.Image:
    raw = image.constBits().tobytes()
    return Image.frombytes("RGB", (image.width(), image.height()), raw, "raw", "RGB", image.bytesPerLine())
