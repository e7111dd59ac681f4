"""Whether a challenger may become the champion."""
