# docker build -t stsmapd .
# docker run --name stsmapd -p 127.0.0.1:8461:8461 -v stsmapd:/var/lib/stsmapd --read-only --cap-drop ALL stsmapd
# docker exec stsmapd stsmapd cache list
#
# A folder in place of the volume belongs to user and group 1000. Whoever reaches port 8461 can ask.
#
# For an image that is passed on, its labels: docker build --build-arg VERSION=0.1.0 --build-arg "REVISION=$(git rev-parse HEAD)"
# --build-arg "CREATED=$(date -u +%FT%TZ)" -t stsmapd .
#
# DANE needs a resolver that validates, over a way that nobody else can write to: -e STSMAPD_DNS_SERVERS='["192.0.2.53"]' and
# -e STSMAPD_DNS_TRUST_AD=always. Whoever has none: STSMAPD_DNS_TRUST_AD=never, because Docker's own resolver, at a loopback
# address, passes on the answers of resolvers far away. postfix-examples/compose.yaml has one.

FROM node:24-bookworm-slim AS build
WORKDIR /build
# Without the workspaces, for the image has its own Node; without scripts, for all that is native comes prebuilt.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --workspaces=false --ignore-scripts
COPY tsconfig.json rolldown.config.ts ./
COPY src src
RUN npm run build && chmod 755 dist/main.js && npm prune --omit=dev --workspaces=false --ignore-scripts
# What was built for other systems, and the sources of SQLite.
RUN rm -r node_modules/better-sqlite3/deps node_modules/better-sqlite3/src \
  && find node_modules -name '*.node' \( -path '*musl*' -o ! -path "*linux?$(node -p process.arch)*" \) -delete

# The Debian that the Node image is made of, and of that image the one file that is needed: no npm, Yarn, Corepack or headers.
# Without ca-certificates, too: Node brings the roots that Mozilla trusts. No init either: the daemon
# waits itself for the one process that it starts, which searches the cache file for damage.
FROM debian:bookworm-slim
COPY --from=build /usr/local/bin/node /usr/local/bin/node
WORKDIR /usr/lib/stsmapd
COPY package.json LICENSE ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
RUN ln -s /usr/lib/stsmapd/dist/main.js /usr/local/bin/stsmapd \
  && install -d -o 1000 -g 1000 -m 0700 /var/lib/stsmapd
# The memory of young objects is bounded as in systemd/stsmapd.service.
ENV NODE_ENV=production \
    NODE_OPTIONS=--max-semi-space-size=4 \
    NODE_COMPILE_CACHE=/usr/lib/stsmapd/compile-cache \
    STSMAPD_LISTEN='[{protocol: socketmap, address: "0.0.0.0:8461"}]' \
    STSMAPD_STORE_PATH=/var/lib/stsmapd/cache.sqlite
# What Node compiles of the daemon, by root as in tools/deb/debian/postinst, for user 1000 to read. V8 takes it on processors
# with the same features as this one; on others the start takes some 20 ms longer.
RUN node --require ./dist/serve.js dist/main.js --version \
  && for made in compile-cache/*-0; do mv "$made" "${made%0}1000"; done \
  && chmod -R go=rX compile-cache
# By number, as `runAsNonRoot` of Kubernetes wants it; nothing asks for the name.
USER 1000:1000
VOLUME /var/lib/stsmapd
EXPOSE 8461
# Without a shell between: the daemon is process 1 and gets SIGTERM.
ENTRYPOINT ["stsmapd"]
CMD ["serve"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["stsmapd", "health"]

# Last, for they change with each build.
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="stsmapd" \
      org.opencontainers.image.description="MTA-STS policies (RFC 8461) for Postfix, over socketmap and tcp_table" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
