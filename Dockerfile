# Tessera in a container. Build from the project's root: docker build -t tessera .

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY deploy/packages.sh deploy/packages.sh
RUN deploy/packages.sh install build && rm -rf /var/lib/apt/lists/*

COPY . .
RUN cmake --preset release -DTESSERA_BUILD_TESTS=OFF \
 && cmake --build build/release --parallel "$(nproc)" --target tesserad tessera \
 && mkdir /out \
 && strip -o /out/tesserad build/release/server/tesserad \
 && strip -o /out/tessera build/release/client/cli/tessera

# The packages of the shared libraries that the two programs ask for, and nothing else. dpkg knows
# files by their path before the merge of /lib into /usr/lib or after it, so names are what we ask for.
RUN ldd /out/tesserad /out/tessera | awk '$2 == "=>" {print "*/" $1}' | sort -u \
  | xargs dpkg-query --search | cut -d: -f1 | sort -u > /out/packages \
 && test -s /out/packages

FROM debian:bookworm-slim
COPY --from=build /out/packages /usr/share/tessera/packages
RUN apt-get update -q \
 && xargs env DEBIAN_FRONTEND=noninteractive \
      apt-get install -q -y --no-install-recommends < /usr/share/tessera/packages \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
 && groupadd --gid 10001 tessera \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin \
      tessera \
 && install -d -o tessera -g tessera -m 0750 /data
COPY --from=build /out/tesserad /out/tessera /usr/local/bin/

# All interfaces, because a container has its own; who may reach the port is decided where it is
# published. Without TLS and API keys, which deploy/README.md gives it, it wants to hear that this is
# meant.
ENV TESSERA_LISTEN=0.0.0.0:6433 \
    TESSERA_INSECURE=true \
    TESSERA_DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 6433
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["tesserad", "healthcheck"]
ENTRYPOINT ["tesserad"]
