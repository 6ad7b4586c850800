# The store's image: Python from Debian, hash-checked wheels, our package. What changes most comes last, so that
# a change of code rebuilds in seconds.
FROM docker.io/library/debian:trixie-slim AS python
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log

FROM python AS wheels
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv
COPY requirements/store.txt /tmp/store.txt
RUN python3 -m venv /opt/store \
 && /opt/store/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /tmp/store.txt \
 && /opt/store/bin/pip uninstall --yes pip

FROM python
RUN groupadd --gid 10001 store \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin store
COPY --from=wheels /opt/store /opt/store
ENV PATH=/opt/store/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/store/app \
    PYTHONDONTWRITEBYTECODE=1
COPY app-src/store /opt/store/app/store
RUN env -u PYTHONDONTWRITEBYTECODE python3 -m compileall -q /opt/store/app
EXPOSE 8080 9100
ENTRYPOINT ["gunicorn", "-c", "python:store.gunicorn_conf", "store:create_app()"]
# The RUN is what makes another VERSION another layer: buildah's cache does not see a build argument in ENV or LABEL.
ARG VERSION=dev
RUN test -n "$VERSION"
ENV STORE_VERSION=$VERSION
LABEL org.opencontainers.image.title="KubeStore store" \
      org.opencontainers.image.version=$VERSION
USER 10001:10001
