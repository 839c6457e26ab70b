/*
 * A candidate in its own process, so that a test can stop it with a signal. Every few milliseconds it prints whether it
 * holds the lease.
 */
import { runLeaderElection } from "../../../src/kube/lease.ts";
import { createTransport } from "../../../src/kube/transport.ts";
import { createLogger } from "../../../src/runtime/log.ts";

const [, , namespace = "", name = "", times = "{}"] = process.argv;
let terms = 0;
let isHeld = () => false;

setInterval(() => {
  process.stdout.write(`${JSON.stringify({ isHeld: isHeld(), terms, atNs: String(process.hrtime.bigint()) })}\n`);
}, 5);

await runLeaderElection({
  transport: await createTransport({ userAgent: "apitoken-test" }),
  namespace,
  name,
  identity: "in-a-process",
  ...JSON.parse(times),
  signal: new AbortController().signal,
  log: createLogger("lease-holder", "error"),
  onTerm: (term) => {
    terms += 1;
    isHeld = term.isHeld;
    return new Promise<void>((resolve) => term.signal.addEventListener("abort", () => resolve(), { once: true }));
  },
});
