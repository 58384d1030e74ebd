# The stand-in trainer as an image: keeps the contract of a TAO container on a CPU.
#
#     docker build -f docker/standin.Dockerfile -t tao-automl-standin .
#
# `docker/engine image` builds the same without a registry: it makes the first stage with debootstrap from the
# packages named here, and takes the second one as it is.
FROM debian:bookworm-slim AS packages
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-numpy python3-pil python3-yaml \
 && rm -rf /var/lib/apt/lists/*

FROM packages
COPY tao_automl/__init__.py /opt/tao-automl/tao_automl/__init__.py
COPY tao_automl/standin /opt/tao-automl/tao_automl/standin
COPY docker/network /usr/local/bin/dino
COPY docker/network /usr/local/bin/deformable_detr
COPY docker/network /usr/local/bin/grounding_dino
COPY docker/network /usr/local/bin/mask_grounding_dino
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/opt/tao-automl
RUN python3 -m compileall -q /opt/tao-automl
WORKDIR /opt/tao-automl
CMD ["python3", "-m", "tao_automl.standin", "--help"]
