"""The description of a row's run."""

from harness.experiment.descriptions import of_row


def test_published_values_stand_beside_the_means_and_nothing_is_made_up():
    told = {"dice_nuclei": 0.94, "dice_nuclei/n": 1.0, "seconds_training": 3.0}
    text = of_row("A row", told, {"dice_nuclei": 0.958, "jaccard": 0.8})
    assert text.splitlines()[0] == "A row" and text.splitlines()[4:] == ["| Dice, nuclei | 0.940 |  | 1 |  | 0.958 |"]
    assert of_row("A row", {"seeds": 0.0}, {"jaccard": 0.8}) == "A row"
