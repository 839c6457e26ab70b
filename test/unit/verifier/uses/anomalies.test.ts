import { expect, test } from "vitest";
import { createWatch } from "../../../../src/verifier/uses/anomalies.ts";
import { HOUR_MS, MANY_ADDRESSES, MANY_WRONG_SECRETS } from "../../../../src/verifier/uses/habits.ts";
import { createUses } from "../../../../src/verifier/uses/uses.ts";

const START_MS = Date.UTC(2026, 5, 1);

/** Watches one token, which was first used from 192.0.2.1, and lists what is reported of it. */
async function watchOne({ learningMs = HOUR_MS, podNetworks = [] as readonly string[] }) {
  const told: string[] = [];
  const db = { query: () => Promise.resolve([]) };
  let nowMs = START_MS;
  const watch = createWatch({ db, learningMs, podNetworks, onAnomaly: (kind) => told.push(kind) }, () => nowMs);
  const uses = createUses("a");
  watch.see(uses, START_MS, "192.0.2.1");
  await watch.flush();
  const atMs = START_MS + HOUR_MS;
  return {
    told,
    useFrom(address: string) {
      watch.see(uses, atMs, address);
    },
    showWrongSecret: () => watch.seeWrongSecret(uses, atMs, "198.51.100.1"),
    async flush() {
      nowMs = atMs;
      await watch.flush();
    },
  };
}

const useUnusually = async ({ useFrom, showWrongSecret, flush }: Awaited<ReturnType<typeof watchOne>>) => {
  for (let host = 1; host <= MANY_ADDRESSES; host += 1) useFrom(`10.0.${host}.1`);
  for (let count = 0; count < 100_000; count += 1) useFrom("10.0.1.1");
  for (let count = 0; count < MANY_WRONG_SECRETS; count += 1) showWrongSecret();
  await flush();
};

test("each kind of unusual use is reported", async () => {
  const watched = await watchOne({});
  await useUnusually(watched);
  expect(watched.told.sort()).toEqual(["ManyAddresses", "NewNetwork", "UnusualRate", "WrongSecrets"]);
});

test("addresses in the networks of pods are not unusual; rates and wrong secrets are", async () => {
  const watched = await watchOne({ podNetworks: ["10.0.0.0/8"] });
  await useUnusually(watched);
  expect(watched.told.sort()).toEqual(["UnusualRate", "WrongSecrets"]);
});

test("without a learning time nothing ever is unusual", async () => {
  const watched = await watchOne({ learningMs: 0 });
  await useUnusually(watched);
  expect(watched.told).toEqual([]);
});
