# Image of the history server. It needs no workers, no graphs and no dashboard. From the
# root of the repository:
#   docker build --file docs/deploy/history.Dockerfile --tag leandask-history:1.0.0rc1 .
FROM python:3.13.1-slim-bookworm AS build
ARG DASK_VERSION=2026.8.0
WORKDIR /src
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY leandask/ leandask/
# s3fs, for logs in a bucket; gcsfs or adlfs for other ones.
RUN python -m venv /opt/leandask \
    && /opt/leandask/bin/pip install --no-cache-dir \
        "dask==${DASK_VERSION}" "distributed==${DASK_VERSION}" "s3fs>=2024.6" \
        zstandard .

FROM python:3.13.1-slim-bookworm
COPY --from=build /opt/leandask /opt/leandask
# A volume there belongs to the user.
RUN install --directory --owner=10001 --group=10001 /cache
ENV PATH=/opt/leandask/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 18080
# Behind the port of a container: see --password-file and docs/history.md.
CMD ["leandask", "history", "/logs", "--host", "0.0.0.0", "--index", "/cache/runs.sqlite"]
