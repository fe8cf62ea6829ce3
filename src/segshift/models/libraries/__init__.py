"""Networks of other libraries, and one's own, in the shape of a segmenter."""
