"""The same settings as a pipeline file (.cppipe) for CellProfiler 4.2.

CellProfiler reads the values by their order and keeps the words before each colon for people.
"""

from collections.abc import Sequence

from harness.sources.classical.reference import FILL_HOLES
from harness.sources.classical.settings import Settings, parse_configuration

Values = list[tuple[str, object]]  # of a module's settings, in CellProfiler's order, each with its words

_IMAGE = "DNA"
_MANY = 500  # CellProfiler's own number where no limit is wanted


def pipeline_text(configurations: Sequence[str], settings: Settings) -> str:
    """Text of a pipeline that identifies nuclei and saves one label image per image and configuration.

    The images are taken as they are listed in CellProfiler's Images module, and scaled by their bit depth as
    `harness.sources.classical` does. The label images are 16-bit TIFF files, `<stem>_shape-intensity.tiff` and so on, in
    the default output folder.

    Parameters
    ----------
    configurations : sequence of str
        "SEEDS/LINES", one IdentifyPrimaryObjects module each.
    settings : Settings
        CellProfiler 4 has its own way to the threshold; version 3.1.9's cannot be written into its pipelines, so that
        its objects are a few pixels larger than 3.1.9's. The module's notes say so.

    Returns
    -------
    str

    Raises
    ------
    HarnessError
        When a configuration is unknown.
    """
    modules = list(_INPUT)
    for configuration in configurations:
        objects = _name(configuration)
        modules += [
            ("IdentifyPrimaryObjects", 15, _notes(configuration, settings), _identify(configuration, objects, settings)),
            ("ConvertObjectsToImage", 1, "", _convert(objects)),
            ("SaveImages", 16, "", _save(configuration, objects)),
        ]
    header = [
        "CellProfiler Pipeline: http://www.cellprofiler.org",
        "Version:5",
        "DateRevision:428",
        "GitHash:",
        f"ModuleCount:{len(modules)}",
        "HasImagePlaneDetails:False",
    ]
    return "\n\n".join(["\n".join(header), *(_module(n, *module) for n, module in enumerate(modules, 1))]) + "\n"


def _module(number: int, name: str, revision: int, notes: str, settings: Values) -> str:
    about = [
        f"module_num:{number}",
        "svn_version:'Unknown'",
        f"variable_revision_number:{revision}",
        "show_window:False",
        f"notes:{[notes] if notes else []}",
        "batch_state:array([], dtype=uint8)",
        "enabled:True",
        "wants_pause:False",
    ]
    return "\n".join([f"{name}:[{'|'.join(about)}]", *(f"    {words}:{value}" for words, value in settings)])


def _name(configuration: str) -> str:
    """Such as NucleiShapeIntensity: CellProfiler's names are letters and digits."""
    return "Nuclei" + "".join(part.title() for part in parse_configuration(configuration))


def _notes(configuration: str, settings: Settings) -> str:
    seeds, lines = parse_configuration(configuration)
    notes = f"Seeds by {seeds}, lines by {lines}."
    if settings.version == "3.1.9":
        notes += (
            " Made for the threshold of CellProfiler 3.1.9. CellProfiler 4 finds a lower one by about 1/256 "
            "of the range of intensities."
        )
    return notes


def _yes(value: bool) -> str:
    return "Yes" if value else "No"


def _identify(configuration: str, objects: str, settings: Settings) -> Values:
    seeds, lines = parse_configuration(configuration)
    automatic_size, automatic_distance = settings.seed_smoothing is None, settings.suppression is None
    return [
        ("Select the input image", _IMAGE),
        ("Name the primary objects to be identified", objects),
        ("Typical diameter of objects, in pixel units (Min,Max)", f"{settings.min_diameter},{settings.max_diameter}"),
        ("Discard objects outside the diameter range?", _yes(settings.discard_size)),
        ("Discard objects touching the border of the image?", _yes(settings.discard_border)),
        ("Method to distinguish clumped objects", seeds.title()),
        ("Method to draw dividing lines between clumped objects", lines.title()),
        ("Size of smoothing filter", 10 if automatic_size else settings.seed_smoothing),
        (
            "Suppress local maxima that are closer than this minimum allowed distance",
            7.0 if automatic_distance else settings.suppression,
        ),
        ("Speed up by using lower-resolution image to find local maxima?", _yes(settings.low_resolution)),
        ("Fill holes in identified objects?", FILL_HOLES[settings.fill_holes]),
        ("Automatically calculate size of smoothing filter for declumping?", _yes(automatic_size)),
        ("Automatically calculate minimum allowed distance between local maxima?", _yes(automatic_distance)),
        (
            "Handling of objects if excessive number of objects identified",
            "Continue" if settings.max_objects is None else "Erase",
        ),
        ("Maximum number of objects", _MANY if settings.max_objects is None else settings.max_objects),
        ("Use advanced settings?", "Yes"),
        *_threshold(settings),
    ]


def _threshold(settings: Settings) -> Values:
    return [
        ("Threshold setting version", 12),
        ("Threshold strategy", "Global"),
        ("Thresholding method", "Minimum Cross-Entropy"),
        ("Threshold smoothing scale", settings.threshold_smoothing),
        ("Threshold correction factor", settings.correction),
        ("Lower and upper bounds on threshold", ",".join(map(str, settings.bounds))),
        ("Manual threshold", 0.0),
        ("Select the measurement to threshold with", "None"),
        ("Two-class or three-class thresholding?", "Two classes"),
        ("Log transform before thresholding?", _yes(settings.log_transform)),
        ("Assign pixels in the middle intensity class to the foreground or the background?", "Foreground"),
        ("Size of adaptive window", 50),
        ("Lower outlier fraction", 0.05),
        ("Upper outlier fraction", 0.05),
        ("Averaging method", "Mean"),
        ("Variance method", "Standard deviation"),
        ("# of deviations", 2.0),
        ("Thresholding method", "Minimum Cross-Entropy"),
    ]


def _convert(objects: str) -> Values:
    return [
        ("Select the input objects", objects),
        ("Name the output image", f"{objects}Labels"),
        ("Select the color format", "uint16"),
        ("Select the colormap", "Default"),
    ]


def _save(configuration: str, objects: str) -> Values:
    return [
        ("Select the type of image to save", "Image"),
        ("Select the image to save", f"{objects}Labels"),
        ("Select method for constructing file names", "From image filename"),
        ("Select image name for file prefix", _IMAGE),
        ("Enter single file name", "labels"),
        ("Number of digits", 4),
        ("Append a suffix to the image file name?", "Yes"),
        ("Text to append to the image name", "_" + configuration.replace("/", "-")),
        ("Saved file format", "tiff"),
        ("Output file location", "Default Output Folder|"),
        ("Image bit depth", "16-bit integer"),
        ("Overwrite existing files without warning?", "No"),
        ("When to save", "Every cycle"),
        ("Record the file and path information to the saved image?", "No"),
        ("Create subfolders in the output folder?", "No"),
        ("Base image folder", "Elsewhere...|"),
        ("How to save the series", "T (Time)"),
        ("Save with lossless compression?", "Yes"),
    ]


_INPUT: list[tuple[str, int, str, Values]] = [
    (
        "Images",
        2,
        "Put the images here.",
        [
            ("", ""),
            ("Filter images?", "Images only"),
            ("Select the rule criteria", r'and (extension does isimage) (directory doesnot containregexp "[\\\\/]\\.")'),
        ],
    ),
    (
        "Metadata",
        6,
        "",
        [
            ("Extract metadata?", "No"),
            ("Metadata data type", "Text"),
            ("Metadata types", "{}"),
            ("Extraction method count", 1),
            ("Metadata extraction method", "Extract from file/folder names"),
            ("Metadata source", "File name"),
            ("Regular expression to extract from file name", "^(?P<Field>.*)$"),
            ("Regular expression to extract from folder name", "(?P<Folder>.*)$"),
            ("Extract metadata from", "All images"),
            ("Select the filtering criteria", 'and (file does contain "")'),
            ("Metadata file location", "Elsewhere...|"),
            ("Match file and image metadata", "[]"),
            ("Use case insensitive matching?", "No"),
            ("Metadata file name", "None"),
            ("Does cached metadata exist?", "No"),
        ],
    ),
    (
        "NamesAndTypes",
        8,
        "Integers are divided by the largest value of their type.",
        [
            ("Assign a name to", "All images"),
            ("Select the image type", "Grayscale image"),
            ("Name to assign these images", _IMAGE),
            ("Match metadata", "[]"),
            ("Image set matching method", "Order"),
            ("Set intensity range from", "Image bit-depth"),
            ("Assignments count", 1),
            ("Single images count", 0),
            ("Maximum intensity", 255.0),
            ("Process as 3D?", "No"),
            ("Relative pixel spacing in X", 1.0),
            ("Relative pixel spacing in Y", 1.0),
            ("Relative pixel spacing in Z", 1.0),
            ("Select the rule criteria", 'and (file does contain "")'),
            ("Name to assign these images", _IMAGE),
            ("Name to assign these objects", "Cell"),
            ("Select the image type", "Grayscale image"),
            ("Set intensity range from", "Image bit-depth"),
            ("Maximum intensity", 255.0),
        ],
    ),
    (
        "Groups",
        2,
        "",
        [("Do you want to group your images?", "No"), ("grouping metadata count", 1), ("Metadata category", "None")],
    ),
]
