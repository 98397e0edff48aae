# docker build -t stsmapd . && docker run --name stsmapd -p 127.0.0.1:8461:8461 -v stsmapd:/var/lib/stsmapd --read-only stsmapd
# docker exec stsmapd node dist/main.js cache list
#
# DANE needs a resolver that validates, over a way that nobody else can write to: -e STSMAPD_DNS_SERVERS='["192.0.2.53"]' and
# -e STSMAPD_DNS_TRUST_AD=always. Whoever has none: STSMAPD_DNS_TRUST_AD=never, because Docker's own resolver, at a loopback
# address, passes on the answers of resolvers far away.

FROM node:24-bookworm-slim AS build
WORKDIR /build
# Without the workspaces, for the image has its own Node; without scripts, for all that is native comes prebuilt.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --workspaces=false --ignore-scripts
COPY tsconfig.json rolldown.config.ts ./
COPY src src
RUN npm run build && npm prune --omit=dev --workspaces=false --ignore-scripts

FROM node:24-bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o node -g node -m 0700 /var/lib/stsmapd
WORKDIR /usr/lib/stsmapd
COPY package.json LICENSE ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
ENV NODE_ENV=production \
    STSMAPD_LISTEN='[{protocol: socketmap, address: "0.0.0.0:8461"}]' \
    STSMAPD_STORE_PATH=/var/lib/stsmapd/cache.sqlite
# The user `node` by number, as `runAsNonRoot` of Kubernetes wants it.
USER 1000:1000
VOLUME /var/lib/stsmapd
EXPOSE 8461
# A single label is no domain: answered at once, without DNS, by NOTFOUND (socketmap) or 500 (tcp_table).
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD node dist/main.js query localhost | grep -Eq '^(NOTFOUND|500)'
# Without a shell between: Node is process 1 and gets SIGTERM.
CMD ["node", "dist/main.js", "serve"]
