"""Everything that defines one run, and its identity: two runs with the same hash give the same result."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from harness.datasets import BUILT_IN, DataSet
from harness.experiment import stages
from harness.method import tiles
from harness.sources import LabelSource, open_source

# What every spec meant before it had these keys; left out of hashes, so that finished runs keep theirs.
IMPLIED: dict[str, tuple] = {
    "loss": ("dice", None),
    "backend": ("tensorflow", None),
    "refine": ([],),
    "refine_prediction": ([],),
    "parent": (None,),
    "tile": (tiles.SIZE,),
}

DIGEST = "digest"  # among a spec's settings: of what its labels are made of besides the data set


class Strict(BaseModel):
    """What is read from files: no unknown keys, no changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(Strict):
    """Widths of the U-Net."""

    base: int = Field(16, gt=0)
    last: int = Field(32, gt=0)


class Profile(Strict):
    """How much work a network row is given, and how it is computed."""

    epochs: int = Field(gt=0)
    steps_per_epoch: int = Field(gt=0)
    batch: int = Field(gt=0)
    learning_rate: float = Field(gt=0, lt=1)
    decay: Literal["constant", "cosine"]
    warmup_steps: int = Field(ge=0)
    validation_tiles: int = Field(ge=0)
    augmented_validation: bool
    threads: int = Field(gt=0)
    precision: Literal["float32", "bfloat16"]


class Spec(Strict):
    """Everything that defines one run: a row under a profile, on a data set, with a seed.

    Two runs with the same `hash` give the same result; the seeds of a row share its `row_hash`. `training_hashes` leave
    out what only scoring depends on, so that a network is not trained again when a metric changes. What a row or a data
    folder is called and where folders lie is part of none of them: of folders the content counts.

    `parent` is the run whose network this one needs: to label its fields (`network:ROW`), or for the prediction that it
    refines. Identities hold the parent's, as far as it decides what its network predicts, and so all before it.

    `learned_on` is the spec of the training where that was on another data set; its `training_hashes` stand for it.
    """

    row: str
    title: str
    method: str
    labels: str
    settings: dict
    refine: list[dict] = Field(default_factory=list)
    refine_prediction: list[dict] = Field(default_factory=list)
    parent: "Spec | None" = None
    tile: int = tiles.SIZE
    network: Network | None
    loss: str | None = None
    backend: str | None = None
    profile: str
    schedule: Profile | None
    dataset: str
    digest: str
    seed: int
    versions: dict[str, int]
    learned_on: "Spec | None" = None

    def scored_on(self, dataset: DataSet, tile: int) -> Self:
        """The spec of a run that scores what this one trained on the test fields of another data set."""
        return self.model_copy(update={"dataset": dataset.name, "digest": dataset.digest, "tile": tile, "learned_on": self})

    @property
    def called(self) -> str:
        """What people call the row."""
        return f"{self.row} learned on {self.learned_on.dataset}" if self.learned_on else self.row

    @property
    def name(self) -> str:
        """What people call the run."""
        return f"{self.called} (seed {self.seed})"

    @property
    def source(self) -> LabelSource:
        """The label source of the row."""
        return source_of(self.labels, self.settings, self.refine)

    @property
    def lineage(self) -> list["Spec"]:
        """The runs whose networks this one needs, the first to be run first."""
        return [*self.parent.lineage, self.parent] if self.parent else []

    @property
    def hash(self) -> str:
        """Of everything that decides the result."""
        return self.hashes()[0]

    @property
    def row_hash(self) -> str:
        """Of everything but the seed."""
        return self.hashes("seed")[0]

    def hashes(self, *left_out: str) -> tuple[str, ...]:
        """The hash of everything but some keys, and the one that earlier versions gave the same run, if it is another."""
        return self._digests(self.versions, left_out)

    def training_hashes(self, *left_out: str) -> tuple[str, ...]:
        """The same of what decides the trained weights."""
        return self._digests(self._versions_of(stages.TRAINING), ("row", "method", "profile", *left_out))

    def nuclei_hash(self, *left_out: str) -> str:
        """Of what decides the nuclei that the trained network sees on any field."""
        versions = self._versions_of((*stages.TRAINING, *stages.NUCLEI))
        return self._digests(versions, ("row", "method", "profile", *left_out))[0]

    def prediction_hashes(self) -> tuple[str, ...]:
        """The same of what decides the predictions, however they are scored; a classical row has nothing random in it."""
        versions = {stage: version for stage, version in self.versions.items() if stage not in stages.SCORES}
        return self._digests(versions, ("row", "profile", *(() if self.network else ("seed",))))

    def _versions_of(self, used: tuple[str, ...]) -> dict[str, int]:
        return {stage: version for stage, version in self.versions.items() if stage in (*self.source.stages, *used)}

    def _digests(self, versions: dict[str, int], left_out: tuple[str, ...]) -> tuple[str, ...]:
        content = self.model_dump(exclude={"title", "parent", "learned_on", *left_out})
        content["parent"] = self.parent and self.parent.nuclei_hash(*({"seed"} & set(left_out)))
        content = {key: value for key, value in content.items() if value not in IMPLIED.get(key, ())}
        content |= {"versions": stages.identifying(versions), "labels": self.source.identity}
        if self.learned_on:
            content["learned_on"] = self.learned_on.training_hashes(*(key for key in left_out if key == "seed"))[0]
        of_content = content if self.dataset in BUILT_IN else content | {"dataset": "folder"}
        return tuple(dict.fromkeys((_digest(of_content), _digest(content))))


def source_of(labels: str, settings: dict[str, Any], refine: Sequence[str | dict[str, Any]]) -> LabelSource:
    """The label source of a row whose settings may hold the digest of its labels."""
    return open_source(labels, {key: value for key, value in settings.items() if key != DIGEST}, refine)


def _digest(value: dict) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
