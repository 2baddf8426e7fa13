"""The network: its architecture, loss, training and use."""

VERSION = 1  # of what decides the trained weights: unet, loss, training
