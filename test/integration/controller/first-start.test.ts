import { expect } from "vitest";
import { createSecretQuota, startAdmissionWebhook } from "../../support/admission.ts";
import { connectCluster, type TestCluster } from "../../support/cluster.ts";
import { launchControllerProcess } from "../../support/controller-process.ts";
import { readMetric } from "../../support/controllers.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";
import { untilReady } from "../../support/resources.ts";

/* The first start in a namespace whose administrators restrict it: the controller has to create its keyring's Secret. */

interface Obstacle {
  readonly name: string;
  remove(): Promise<void>;
}

const OBSTACLES: readonly (readonly [kind: string, reason: RegExp, build: (at: TestCluster) => Promise<Obstacle>])[] = [
  [
    "a quota without room",
    /ResourceQuota "few-secrets" is exhausted/,
    async (at) => ({ name: "few-secrets", ...(await createSecretQuota(at, "few-secrets")) }),
  ],
  [
    "a webhook that denies Secrets",
    /admission webhook "secrets\.test-[0-9a-f]+\.example\.com" denied it/,
    (at) => startAdmissionWebhook(at, { mode: "deny" }),
  ],
  [
    "a webhook that is down",
    /admission webhook "secrets\.test-[0-9a-f]+\.example\.com" cannot be called/,
    (at) => startAdmissionWebhook(at, { mode: "down" }),
  ],
];

test.for(OBSTACLES)(
  "a controller that cannot create its keyring because of %s says so, and starts once it can",
  async ([, reason, build], { controlPlane }) => {
    const cluster = await connectCluster(controlPlane.kubeconfigPath);
    const obstacle = await build(cluster);
    const settings = { APITOKEN_LOG_LEVEL: "info" };
    const controller = await launchControllerProcess(cluster, await createTestDatabase(), "first", settings);
    const readEntries = () =>
      controller
        .readLog()
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line));
    try {
      const waiting = await eventually(() => {
        const found = readEntries().filter(({ msg }) => msg === "cannot start yet; trying again");
        expect(found.length).toBeGreaterThanOrEqual(3);
        return found;
      });
      expect(waiting.at(-1)).toMatchObject({
        level: "warn",
        err: {
          fault: "APITOKEN_E_KEYRING_REFUSED",
          message: expect.stringMatching(reason),
        },
      });
      const { message } = waiting.at(-1).err;
      expect(message).toContain(`the Secret "${cluster.namespace}/apitoken-keyring": it cannot be created: POST `);
      expect(message).toMatch(/; make the quota, webhook, policy or right that refuses it allow it$/);
      expect((await fetch(`http://127.0.0.1:${controller.port}/readyz`)).ok).toBe(false);
      expect(await cluster.getSecret("apitoken-keyring")).toBeUndefined();

      await obstacle.remove();
      await eventually(async () => expect(await readMetric(controller, "apitoken_leading")).toBe(1));
      await cluster.apply("first", { owner: "alice" });
      await untilReady(cluster, "first");
      expect(controller.readLog()).not.toContain("pepper");
    } finally {
      await controller.dispose();
      await cluster.close();
    }
  },
);
