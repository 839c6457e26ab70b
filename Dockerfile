# Four images from one file: --target controller, cleanup, migrate or verifier.
# Each is Node, the libraries that Node needs, and one bundled program: no shell, no npm, no package manager.

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Nothing that the bundles need has an install script.
RUN npm ci --ignore-scripts
COPY build.mjs bundle-options.mjs ./
COPY migrations migrations
COPY src src
# The plugin explains reasons and error codes with the text of these.
COPY docs/lifecycle.md docs/errors.md docs/
RUN node build.mjs
# ldd names each library of this architecture, so the same lines serve amd64 and arm64.
RUN mkdir -p /rootfs/usr/local/bin /rootfs/tmp /rootfs/etc \
 && cp /usr/local/bin/node /rootfs/usr/local/bin/ \
 && ldd /usr/local/bin/node | grep -o '/[^ ]*' | sort -u | xargs -I {} cp --dereference --parents {} /rootfs \
 && printf 'nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n' > /rootfs/etc/passwd \
 && printf 'nonroot:x:65532:\n' > /rootfs/etc/group

FROM scratch AS runtime
COPY --from=build /rootfs /
# With the allocator's defaults what the compiler and the start needed for a moment would never be given back.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=1 \
    MALLOC_TRIM_THRESHOLD_=131072
WORKDIR /app
USER 65532:65532

FROM runtime AS cleanup
LABEL org.opencontainers.image.title="apitoken-operator cleanup" \
      org.opencontainers.image.description="Deletes API tokens that are dead and past their retention" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /build/dist/cleanup.js ./
ENTRYPOINT ["/usr/local/bin/node", "/app/cleanup.js"]

FROM runtime AS migrate
LABEL org.opencontainers.image.title="apitoken-operator migrate" \
      org.opencontainers.image.description="Brings the database schema of apitoken-operator up to date" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /build/dist/migrate.js ./
COPY --from=build /build/dist/migrations ./migrations
ENTRYPOINT ["/usr/local/bin/node", "/app/migrate.js"]

FROM runtime AS verifier
LABEL org.opencontainers.image.title="apitoken-operator verifier" \
      org.opencontainers.image.description="Says whether API tokens are good, to gateways and backends" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /build/dist/verifier.js /build/dist/bcrypt-worker.js ./
EXPOSE 8080 8181 8182 8183
# The three options before --expose-gc let V8 compile Node's code for requests in larger pieces, and for the sockets and streams of the database's
# client as well: a fifteenth more answers a second.
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=8", "--heap-growing-percent=20", "--no-parallel-scavenge", "--max-valid-polymorphic-map-count=24", "--max-inlined-bytecode-size=1500", "--max-inlined-bytecode-size-cumulative=4000", "--expose-gc", "/app/verifier.js"]

FROM runtime AS controller
LABEL org.opencontainers.image.title="apitoken-operator controller" \
      org.opencontainers.image.description="Reconciles ApiToken resources into Postgres rows and Secrets" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /build/dist/controller.js /build/dist/bcrypt-worker.js /build/dist/kubectl-apitoken.cjs ./
COPY --from=build /build/dist/migrations ./migrations
EXPOSE 8080
# The controller keeps every ApiToken in memory and waits most of its time: a tight heap is worth more than the last bit
# of speed. With these options and the allocator's above it needs less than half of the memory (npm run bench). Liftoff is
# for the parser of HTTP, which is WebAssembly: to optimise it takes more memory than all ApiTokens of a small cluster. With
# the last one the controller gives back what it needed to look at everything (src/runtime/memory.ts).
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=4", "--heap-growing-percent=20", "--no-maglev", "--no-parallel-scavenge", "--liftoff-only", "--expose-gc", "/app/controller.js"]
