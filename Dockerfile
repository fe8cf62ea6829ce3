# segshift in a container, for a CPU or a GPU, by the image that it starts from:
#
#   docker build -t segshift .                                      # CPU; TORCH_INDEX below makes it small
#   docker build -t segshift:cuda --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/workspace" segshift demo
#   docker run --rm --user "$(id -u):$(id -g)" --gpus all --shm-size 8g -v "$PWD:/workspace" segshift:cuda train adapt.yaml
#
# Results belong to the user who is named; loader processes hand over batches in /dev/shm.
ARG BASE=python:3.12-slim
FROM ${BASE}

# Bases of CUDA come without Python; Ubuntu's Python comes without what `venv` needs.
RUN if ! python3 -c "import ensurepip" 2>/dev/null; then \
      apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*; \
    fi
RUN python3 -m venv /opt/segshift
ENV PATH=/opt/segshift/bin:$PATH

# An index of packages to take PyTorch from; empty is pip's own, whose build brings CUDA along. The CPU build is a
# fraction of it: give the address that PyTorch's installation page names for it.
ARG TORCH_INDEX=
RUN if [ -n "$TORCH_INDEX" ]; then \
      PIP_INDEX_URL="$TORCH_INDEX" pip install --no-cache-dir "torch>=2.4" "torchvision>=0.19"; \
    fi

COPY pyproject.toml README.md LICENSE /src/
COPY src /src/src
ARG EXTRAS=full,weights,export,video
RUN pip install --no-cache-dir "/src[${EXTRAS}]" && rm -rf /src

# Not root; renderings and weights are cached beside the work.
RUN useradd --create-home segshift && mkdir /workspace && chown segshift /workspace
USER segshift
WORKDIR /workspace
ENV SEGSHIFT_CACHE=/workspace/.cache/segshift HF_HOME=/workspace/.cache/huggingface MPLCONFIGDIR=/tmp/matplotlib USER=segshift
ENTRYPOINT ["segshift"]
CMD ["--help"]
