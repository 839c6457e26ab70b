/*
 * Tokens that are issued together could all fall due together. The controller must get through that as fast as through
 * creating them.
 */
import { setTimeout as delay } from "node:timers/promises";
import { runAsSuperuser } from "../../local/postgres-server.ts";
import { apiTokensPath } from "../../src/kube/resources/api-token-api.ts";
import { anApiToken } from "./create.ts";
import { type Figures, time } from "./figures.ts";
import { readController } from "./metrics.ts";
import { runMany, startBenchStage } from "./stage.ts";

const COUNT = 10_000;

/** Makes the tokens old enough to be renewed, as if they had been issued that long ago; no trigger reports it. */
const AGE = `with quiet as (select set_config('session_replication_role', 'replica', false))
  update apitoken.tokens set issued_at = issued_at - interval '660 hours', expires_at = expires_at - interval '660 hours'
  from quiet`;

/**
 * 10,000 tokens fall due at the same moment: the seconds per thousand, divided by those of their creation by the same
 * controller, and the most keys that it handled at once.
 */
export async function benchRotate(tell: (text: string) => void): Promise<Figures> {
  const stage = await startBenchStage();
  try {
    const controller = await stage.startController();
    const path = apiTokensPath("watched");
    const read = () => readController(controller.metricsUrl);
    const untilWritten = async (secrets: number) => {
      const peak = { busy: 0, connections: 0 };
      for (;;) {
        const values = await read();
        peak.busy = Math.max(peak.busy, values("apitoken_queue_busy"));
        peak.connections = Math.max(peak.connections, values("apitoken_database_connections"));
        const left = values("apitoken_queue_depth") + values("apitoken_queue_busy");
        if (values('apitoken_actions_total{action="writeSecret"}') >= secrets && left === 0) return peak;
        await delay(250);
      }
    };
    tell(`creating ${COUNT} ApiTokens`);
    const createMs = await time(async () => {
      await runMany(COUNT, 16, (index) =>
        stage.transport.request("POST", path, { body: anApiToken("watched", "t", index) }),
      );
      await untilWritten(COUNT);
    });
    await runAsSuperuser(stage.databaseUrl, AGE);
    tell(`created in ${(createMs / 1_000).toFixed(1)} s; all fall due now`);
    let peak = { busy: 0, connections: 0 };
    const rotateMs = await time(async () => {
      await runAsSuperuser(stage.databaseUrl, "notify apitoken_changed, 'everything'");
      peak = await untilWritten(2 * COUNT);
    });
    await controller.stop();
    return {
      rotate_seconds_per_1000: rotateMs / COUNT,
      rotate_over_create: rotateMs / createMs,
      rotate_peak_busy: peak.busy,
      rotate_peak_connections: peak.connections,
    };
  } finally {
    await stage.stop();
  }
}
