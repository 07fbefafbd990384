# The image of docker-compose.yml, and for Kubernetes and ECS: webserver, daemon, code location, runs and one-shot jobs
# differ by their command alone. Everything in it comes from uv.lock, and nothing in it runs as root.
#
#   docker build --tag web-analytics-dagster .
#   docker build --tag web-analytics-dagster --build-arg GROUP=kubernetes .   # with Dagster's launcher for it; or ecs

FROM python:3.12.13-slim-bookworm

RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /opt/web-analytics

# The dependencies first: they change seldom, and the layer is then reused. The project is not installed but run where it
# lies, as in the checkout.
COPY pyproject.toml uv.lock ./
ARG GROUP=deploy
RUN uv sync --locked --no-default-groups --group "$GROUP" --compile-bytecode --no-install-project --no-cache
COPY dags ./dags

ENV PATH=/opt/web-analytics/.venv/bin:$PATH \
    PYTHONPATH=/opt/web-analytics \
    PYTHONUNBUFFERED=1 \
    DAGSTER_HOME=/var/lib/dagster

# A new volume takes its owner from the directory that it covers. By number, so that Kubernetes sees that it is not root.
RUN useradd --uid 10001 --create-home dagster && install --directory --owner=dagster /var/lib/dagster
USER 10001
ENTRYPOINT ["/opt/web-analytics/dags/deploy/entrypoint.sh"]
