"""The network: its architecture, loss, training and use."""
