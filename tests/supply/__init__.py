"""What the image is made of, and which known faults it has: a bill of materials and a scan, for CI."""
