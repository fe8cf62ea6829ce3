"""The presets: one YAML file per recipe, each with its provenance."""
