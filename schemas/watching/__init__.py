"""What people and their programs are shown of a service: samples, notifications, traces."""
