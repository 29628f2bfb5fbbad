# genmod on the CPU, as an image:
#   docker build -t genmod . && docker run --rm -v "$PWD:/work" genmod
# For a GPU, take an image with CUDA as the base and leave the --index-url out.
FROM python:3.12-slim
WORKDIR /src
COPY pyproject.toml README.md LICENSE MANIFEST.in ./
COPY core core
COPY plugins plugins
COPY cli cli
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir . && rm -rf /src
# Nothing runs as root; what is written lies in the folder that is mounted.
RUN useradd --create-home genmod && mkdir /work && chown genmod /work
USER genmod
WORKDIR /work
CMD ["sh", "-c", "genmod build --encoder conv --prior normal && genmod train"]
