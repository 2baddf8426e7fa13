from harness.network.backend import settle

settle(threads=2)  # before anything is computed in this process: it cannot be changed afterwards
