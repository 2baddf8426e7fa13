"""The version of every stage whose output a stored number depends on: part of every run's identity.

Whoever changes the output of a stage raises its number here and renews its golden test in the same commit: finished runs
of the older version are then stale, and are done again as far as they depend on it.
"""

from collections.abc import Iterable

VERSIONS = {
    "datasets": 1,  # how files become images and nuclei
    "classical": 1,  # IdentifyPrimaryObjects and the consensus
    "refinements": 3,  # steps after a label source
    "noise": 1,  # steps that make labels worse
    "folder": 1,  # label images of other tools
    "controls": 1,  # the annotation, spoilt in a known way
    "classmap": 1,
    "tiles": 1,
    "network": 1,  # what decides the trained weights: U-Net, losses, order, optimiser
    "network.inference": 1,
    "windows": 1,  # of no run: what `segment` shows the network, and how precisely it computes
    "postprocess": 1,
    "metrics": 1,
    "objects": 1,  # scores over IoU, kinds of error
    "boundaries": 1,  # outlines, touching nuclei, wrong pixels
    "evaluation": 1,
    "doubt": 1,  # of no run: what is kept of fields without annotation
}

# Stages that were named after runs had been recorded without them: at these versions they are left out of identities.
NAMED_LATER = {"datasets": 1, "folder": 1, "objects": 1, "boundaries": 1}

TRAINING = ("datasets", "classmap", "tiles", "network")
PREDICTION = ("network.inference",)
NUCLEI = (*PREDICTION, "postprocess")  # of a trained network, on any field
SCORING = ("datasets", "classmap", "tiles", "postprocess", "metrics", "objects", "boundaries", "evaluation")
SCORES = ("metrics", "objects", "boundaries", "evaluation")  # of what is stored: changed, they need no new prediction


def versions_of(stages: Iterable[str]) -> dict[str, int]:
    """Stage to version, in the order given, each stage once."""
    return {stage: VERSIONS[stage] for stage in dict.fromkeys(stages)}


def identifying(versions: dict[str, int]) -> dict[str, int]:
    """Of some versions those that an identity holds, see `NAMED_LATER`."""
    return {stage: version for stage, version in versions.items() if NAMED_LATER.get(stage) != version}
