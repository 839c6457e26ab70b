/*
 * What most integration tests need, as fixtures: vitest starts what a file asks for, once for the file, and stops it in
 * the reverse order even if a part did not start.
 */
import { test } from "vitest";
import { startControlPlane } from "../../local/control-plane.ts";
import { connectCluster } from "./cluster.ts";
import { startTestController, type TestController, type TestControllerOptions } from "./controllers.ts";
import { createTestDatabase } from "./database.ts";
import { installResources } from "./global-setup.ts";
import { createClusterResources } from "./policies.ts";

/** A controller that a test may stop, or replace by a new one. */
export interface RestartableController extends Pick<TestController, "port" | "identity" | "config"> {
  stop(): Promise<void>;
  /** Stops it, unless that has happened already, and starts another on the same cluster and database. */
  restart(options?: TestControllerOptions): Promise<void>;
}

/** Tests with a namespace and a database of the file's own. */
export const clusterTest = test
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
  .extend("cluster", { scope: "file" }, async ({}, { onCleanup }) => {
    const cluster = await connectCluster();
    onCleanup(() => cluster.close());
    return cluster;
  })
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("resources", async ({ cluster }, { onCleanup }) => {
    const resources = createClusterResources(cluster);
    onCleanup(() => resources.clear());
    return resources;
  });

/** The same on an API server of the file's own: for tests that change what belongs to the whole cluster. */
export const ownClusterTest = clusterTest
  // biome-ignore lint/correctness/noEmptyPattern: as above
  .extend("controlPlane", { scope: "file" }, async ({}, { onCleanup }) => {
    const controlPlane = await startControlPlane();
    onCleanup(() => controlPlane.stop());
    installResources(controlPlane);
    return controlPlane;
  })
  .extend("cluster", { scope: "file" }, async ({ controlPlane }, { onCleanup }) => {
    const cluster = await connectCluster(controlPlane.kubeconfigPath);
    onCleanup(() => cluster.close());
    return cluster;
  });

/** Tests that share a controller, which runs from before the first of them, even if none asks for it. */
export const controllerTest = clusterTest.extend(
  "controller",
  { scope: "file", auto: true },
  async ({ cluster, databaseUrl }, { onCleanup }): Promise<RestartableController> => {
    let running = await startTestController(cluster, databaseUrl);
    onCleanup(() => running.stop());
    return {
      get port() {
        return running.port;
      },
      get identity() {
        return running.identity;
      },
      get config() {
        return running.config;
      },
      stop: () => running.stop(),
      async restart(options) {
        await running.stop();
        running = await startTestController(cluster, databaseUrl, options);
      },
    };
  },
);
