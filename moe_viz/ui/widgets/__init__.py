"""What several pages show: controls, messages, charts, downloads. It knows no page."""
