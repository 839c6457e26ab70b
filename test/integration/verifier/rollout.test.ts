/*
 * Verifiers that are replaced one by one, as a rollout does it, while gateways keep their connections open and ask all the time.
 */
import { Agent, get } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { test as base, expect } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { openMovingClient } from "../../support/verifier/check-client.ts";
import { prepareVerifier, type VerifierProgram } from "../../support/verifier/program.ts";
import { type Service, startService } from "../../support/verifier/service.ts";
import { issueByHand } from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("verifiers", async ({ databaseUrl }, { onCleanup }) => {
    const settings = { APITOKEN_VERIFIER_DRAIN: "2s" };
    const prepare = () => prepareVerifier({ url: databaseUrl, keyring, settings });
    const verifiers = [await prepare(), await prepare()] as const;
    onCleanup(async () => void (await Promise.all(verifiers.map((verifier) => verifier.close()))));
    return verifiers;
  });

/** What has come back so far: statuses, and what has failed. */
interface Outcomes {
  readonly statuses: number[];
  readonly failures: unknown[];
}

const LANES = 8;

/** Asks without a pause, over connections that stay open, until the signal. */
async function ask(record: Outcomes, end: AbortSignal, once: () => Promise<number>): Promise<void> {
  const lane = async () => {
    while (!end.aborted) {
      try {
        record.statuses.push(await once());
      } catch (error) {
        record.failures.push(error);
        await nextTurn(); // what fails at once must not keep the rest from running
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

function askOverHttp({ url }: Service, plaintext: string, record: Outcomes, end: AbortSignal): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: LANES });
  const once = () =>
    new Promise<number>((resolve, reject) => {
      const request = get(`${url}/verify`, { agent, headers: { authorization: `Bearer ${plaintext}` } }, (response) => {
        response.resume().once("end", () => resolve(response.statusCode ?? 0));
      });
      request.once("error", reject);
    });
  return ask(record, end, once).finally(() => agent.destroy());
}

function askOverGrpc({ url }: Service, plaintext: string, record: Outcomes, end: AbortSignal): Promise<void> {
  const client = openMovingClient(url);
  const once = async () => {
    const { denied } = await client.check({ headers: ["authorization", `Bearer ${plaintext}`] });
    return denied?.status ?? 200;
  };
  return ask(record, end, once).finally(() => client.close());
}

const startAll = async (verifiers: readonly VerifierProgram[]) => {
  for (const verifier of verifiers) verifier.start();
  await Promise.all(verifiers.map((verifier) => verifier.untilReady()));
};

test.for([
  ["HTTP", "gatewayPort", askOverHttp],
  ["gRPC", "grpcPort", askOverGrpc],
] as const)("a rollout fails no request over %s", async ([, port, askAlways], { databaseUrl, verifiers }) => {
  const { plaintext } = await issueByHand(databaseUrl, keyring);
  await startAll(verifiers);
  const service = await startService(verifiers.map((one) => ({ port: one[port], isReady: one.isReady })));
  const record: Outcomes = { statuses: [], failures: [] };
  const end = new AbortController();
  const asking = askAlways(service, plaintext, record, end.signal);
  const untilMore = async () => {
    const before = record.statuses.length;
    await eventually(() => record.statuses.length > before + 100);
  };
  try {
    for (const verifier of verifiers) {
      await untilMore();
      await verifier.stop("SIGTERM");
      await untilMore();
      verifier.start();
      await verifier.untilReady();
    }
    await untilMore();
  } finally {
    end.abort();
    await asking;
    await service.stop();
  }
  expect(record.failures).toEqual([]);
  expect(new Set(record.statuses)).toEqual(new Set([200]));
});
