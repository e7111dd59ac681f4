"""What people type and watch: the command line, the demo, the doctor, the setup of a cluster, and the bridge."""
