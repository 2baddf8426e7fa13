"""What every room uses: errors, files, processes, the machine."""
