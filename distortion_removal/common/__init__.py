"""What every part of the package may use: errors, files, devices, logging."""
