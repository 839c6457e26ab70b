import { expect, test } from "vitest";
import { expectFiring, expectShown, hasPromtool, history, lasting } from "../../support/alerts/promtool.ts";
import { NO_ANSWER, scrape } from "../../support/alerts/scrape.ts";
import { isSettled, readMetric } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { createFaultyWorld } from "../../support/faulty-world.ts";
import { issueToken } from "../../support/resources.ts";

test.skipIf(!hasPromtool)("a database, an API server and finally a controller that are down", async () => {
  const world = await createFaultyWorld();
  try {
    const { controller, cluster, database, network } = world;
    const read = (name: string) => readMetric(controller, name);
    await issueToken(cluster, "kept");
    await eventually(() => isSettled(controller));
    await expectFiring(lasting(await scrape(controller), 60), []);

    await database.setMode({ kind: "refuse" });
    await eventually(async () => expect(await read("apitoken_database_available")).toBe(0));
    const withoutDatabase = await scrape(controller);
    await expectFiring(lasting(withoutDatabase, 20), ["ApiTokenDatabaseUnreachable"]);
    await expectShown(lasting(withoutDatabase, 2), "Database", 0);

    await database.setMode({ kind: "pass" });
    await eventually(async () => expect(await read("apitoken_database_available")).toBe(1));
    await network.setMode({ kind: "refuse" });
    await eventually(async () => expect(await read("apitoken_leading")).toBe(0));
    const withoutLeader = await scrape(controller);
    await expectFiring(lasting(withoutLeader, 20), ["ApiTokenNoLeader"]);

    await controller.stop();
    await expect(scrape(controller)).rejects.toThrow();
    await expectFiring(
      history(withoutLeader.at, { figures: withoutLeader, minutes: 5 }, { figures: NO_ANSWER, minutes: 30 }),
      ["ApiTokenControllerAbsent"],
    );
  } finally {
    await world.close();
  }
});
