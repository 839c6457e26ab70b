import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { type ControlPlane, startControlPlane } from "../../../local/control-plane.ts";
import { type LeaseTerm, runLeaderElection } from "../../../src/kube/lease.ts";
import { createTransport, type KubeTransport } from "../../../src/kube/transport.ts";
import { createLogger } from "../../../src/runtime/log.ts";
import type { TestCluster } from "../../support/cluster.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { noteHolders } from "./note-holders.ts";
import { startTcpProxy } from "./tcp-proxy.ts";

const TIMES = { leaseDurationMs: 2_000, renewDeadlineMs: 1_500, retryPeriodMs: 150 };

/** A candidate in this process. */
interface Candidate {
  readonly identity: string;
  readonly terms: LeaseTerm[];
  readonly isHeld: () => boolean;
  stop(): Promise<void>;
}

let leasePath: string;
let candidates: Candidate[];
let undo: (() => unknown)[];
let name: string;
let leases = 0;

test.beforeEach(({ cluster }) => {
  leases += 1;
  name = `lease-${leases}`;
  leasePath = `/apis/coordination.k8s.io/v1/namespaces/${cluster.namespace}/leases/${name}`;
  candidates = [];
  undo = [];
});

test.afterEach(async () => {
  await Promise.all(candidates.map((candidate) => candidate.stop()));
  for (const step of undo.reverse()) await step();
});

function stand(
  cluster: TestCluster,
  identity: string,
  options: { transport?: KubeTransport; namespace?: string; lead?: (term: LeaseTerm) => Promise<void> } = {},
): Candidate {
  const { transport = cluster.transport, namespace = cluster.namespace, lead = untilOver } = options;
  const stopping = new AbortController();
  const terms: LeaseTerm[] = [];
  const finished = runLeaderElection({
    transport,
    namespace,
    name,
    identity,
    ...TIMES,
    signal: stopping.signal,
    log: createLogger("test", "error"),
    onTerm: (term) => {
      terms.push(term);
      return lead(term);
    },
  });
  const candidate: Candidate = {
    identity,
    terms,
    isHeld: () => terms.at(-1)?.isHeld() ?? false,
    async stop() {
      stopping.abort();
      await finished;
    },
  };
  candidates.push(candidate);
  return candidate;
}

function untilOver({ signal }: LeaseTerm): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

async function connectThroughProxy(cluster: TestCluster) {
  const proxy = await startTcpProxy(cluster.kubeconfigPath);
  const { kubeconfigPath } = proxy;
  const transport = await createTransport({ userAgent: "apitoken-test", kubeconfigPath, requestTimeoutMs: 1_000 });
  undo.push(
    () => proxy.close(),
    () => transport.close(),
  );
  return { proxy, transport };
}

interface Lease {
  readonly metadata: object;
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions: number };
}

const readLease = (cluster: TestCluster) => cluster.transport.request<Lease>("GET", leasePath);

test("one of two candidates leads; when it stops, the other leads within a second", async ({ cluster }) => {
  const a = stand(cluster, "a");
  await eventually(() => a.isHeld());
  const b = stand(cluster, "b");
  await eventually(async () => (await readLease(cluster)).spec.holderIdentity === "a");
  await new Promise((resolve) => setTimeout(resolve, TIMES.leaseDurationMs * 1.5)); // several renewals, no takeover
  expect([a.isHeld(), b.isHeld(), a.terms.length, b.terms.length]).toEqual([true, false, 1, 0]);

  await a.stop();
  expect(a.isHeld()).toBe(false);
  const releasedAtMs = performance.now();
  await eventually(() => b.isHeld());
  expect(performance.now() - releasedAtMs).toBeLessThan(1_000);
  expect((await readLease(cluster)).spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
});

test("at most one of several holds the lease at any time, whichever is cut off from the network", async ({
  cluster,
}) => {
  const network = await Promise.all(Array.from({ length: 3 }, () => connectThroughProxy(cluster)));
  const all = network.map(({ transport }, i) => stand(cluster, `candidate-${i}`, { transport }));
  let mostAtOnce = 0;
  const sampler = setInterval(() => {
    mostAtOnce = Math.max(mostAtOnce, all.filter((candidate) => candidate.isHeld()).length);
  }, 1);
  undo.push(() => clearInterval(sampler));

  for (let round = 0; round < 4; round += 1) {
    await eventually(() => all.some((candidate) => candidate.isHeld()));
    const leader = all.find((candidate) => candidate.isHeld()) as Candidate;
    const cutOff = network[all.indexOf(leader)]?.proxy;
    const term = leader.terms.at(-1);
    cutOff?.freeze("all");
    await eventually(() => all.some((candidate) => candidate !== leader && candidate.isHeld()));
    expect(term?.signal.aborted).toBe(true);
    cutOff?.thaw();
  }
  expect(mostAtOnce).toBe(1);
  expect(all.flatMap((candidate) => candidate.terms).length).toBeGreaterThanOrEqual(5);
});

test("a leader that was stopped by the system does not hold the lease when it wakes, and becomes a candidate again", async ({
  cluster,
}) => {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL("./lease-holder.ts", import.meta.url)), cluster.namespace, name, JSON.stringify(TIMES)],
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, KUBECONFIG: cluster.kubeconfigPath } },
  );
  undo.push(() => child.kill("SIGKILL"));
  const said: { isHeld: boolean; terms: number; atNs: bigint }[] = [];
  createInterface(child.stdout).on("line", (line) => {
    const { isHeld, terms, atNs } = JSON.parse(line);
    said.push({ isHeld, terms, atNs: BigInt(atNs) });
  });
  await eventually(() => said.at(-1)?.isHeld === true);
  const here = stand(cluster, "here");
  child.kill("SIGSTOP");
  await eventually(() => here.isHeld());
  const takenAtNs = process.hrtime.bigint();

  const before = said.length;
  child.kill("SIGCONT");
  await eventually(() => said.length > before + 20);
  expect(said.filter(({ isHeld, atNs }) => isHeld && atNs > takenAtNs)).toEqual([]);
  expect(here.isHeld()).toBe(true);

  await here.stop();
  await eventually(() => said.at(-1)?.isHeld === true && said.at(-1)?.terms === 2);
});

test("a lease keeps labels that others set, and is not lost by them", async ({ cluster }) => {
  const a = stand(cluster, "a");
  await eventually(() => a.isHeld());
  for (let i = 0; i < 10; i += 1) {
    const body = { metadata: { labels: { touched: String(i) } } };
    await cluster.transport.request("PATCH", leasePath, { contentType: "application/merge-patch+json", body });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(a.terms.length).toBe(1);
  expect(a.isHeld()).toBe(true);
  expect((await readLease(cluster)).metadata).toMatchObject({ labels: { touched: "9" } });
});

test("a lease that someone deletes is not taken from a holder that others have seen", async ({ cluster }) => {
  const a = stand(cluster, "a");
  await eventually(() => a.isHeld());
  const { holders, transport } = noteHolders(cluster);
  const b = stand(cluster, "b", { transport });
  for (let i = 0; i < 5; i += 1) {
    holders.length = 0;
    await eventually(() => holders.includes("a"));
    await cluster.transport.request("DELETE", leasePath);
    await eventually(async () => (await readLease(cluster)).spec.holderIdentity === "a");
  }
  expect([a.terms.length, b.terms.length]).toEqual([1, 0]);
});

test("a leader whose work ends releases the lease, and becomes a candidate again after a while", async ({
  cluster,
}) => {
  const a = stand(cluster, "a", { lead: () => Promise.resolve() });
  await eventually(() => a.terms.length >= 1);
  const b = stand(cluster, "b");
  await eventually(() => b.isHeld());
  const served = a.terms.length;
  await new Promise((resolve) => setTimeout(resolve, TIMES.retryPeriodMs * 4));
  expect(a.terms.length).toBe(served);
});

test("an API server that stops answering past the deadline ends the term; when it is back, there is a new one", async ({
  cluster,
}) => {
  const controlPlane: ControlPlane = await startControlPlane();
  undo.push(() => controlPlane.stop());
  const { kubeconfigPath, apiserver } = controlPlane;
  const transport = await createTransport({ userAgent: "apitoken-test", kubeconfigPath, requestTimeoutMs: 1_000 });
  undo.push(() => transport.close());
  const a = stand(cluster, "a", { transport, namespace: "kube-system" });
  await eventually(() => a.isHeld());
  const [term] = a.terms;

  process.kill(apiserver.pid, "SIGSTOP");
  const stoppedAtMs = performance.now();
  await eventually(() => term?.signal.aborted === true, { intervalMs: 5 });
  const lostAfterMs = performance.now() - stoppedAtMs;
  expect(lostAfterMs).toBeGreaterThan(TIMES.renewDeadlineMs - TIMES.retryPeriodMs * 2 - 100);
  expect(lostAfterMs).toBeLessThan(TIMES.renewDeadlineMs + 200);
  expect(term?.isHeld()).toBe(false);

  process.kill(apiserver.pid, "SIGCONT");
  await eventually(() => a.isHeld());
  expect(a.terms.length).toBe(2);
  await a.stop();
});
