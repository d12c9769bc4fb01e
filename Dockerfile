# The lab as one container: web server and training process, CPU only. docs/deploy.md says how to run it.
FROM python:3.11-slim

# Without this index, pip would bring gigabytes of CUDA that a CPU never uses.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    MOE_VIZ_HOME=/data \
    MOE_VIZ_LOG_TO=stderr

RUN useradd --create-home --uid 1000 lab && install --directory --owner=lab --mode=700 /data
WORKDIR /app

COPY requirements.txt ./
RUN python -m pip install --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.txt)" \
    && python -m pip install -r requirements.txt

COPY LICENSE README.md app.py ./
COPY assets assets
COPY moe_viz moe_viz
COPY pages pages
RUN python -m compileall -q app.py moe_viz pages

USER lab
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=60s --timeout=15s --start-period=90s --retries=3 CMD ["python", "-m", "moe_viz", "health"]
CMD ["python", "-m", "moe_viz", "serve", "--server.address=0.0.0.0", "--server.port=8501"]
