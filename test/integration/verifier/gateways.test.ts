/*
 * The examples for nginx, Traefik and Caddy, each in its real program, before a real verifier: every case of the table, and what a
 * gateway does while no verifier can be reached.
 */
import { test as base, describe, expect } from "vitest";
import { findFreePorts } from "../../../local/processes.ts";
import { findGatewayTools } from "../../../local/setup/gateway-tools.mjs";
import { createToken } from "../../../src/token/token-string.ts";
import { eventually } from "../../support/eventually.ts";
import {
  GATEWAY_CASES,
  type GatewayCase,
  PROFILE_PATH,
  type Refused,
  TWO_AN_HOUR,
} from "../../support/verifier/gateway-cases.ts";
import {
  caddyExample,
  type GatewayExample,
  nginxExample,
  startGateway,
  traefikExample,
} from "../../support/verifier/gateway-example.ts";
import { askGateway, checkGatewayCase, startGatewayWorld } from "../../support/verifier/gateway-world.ts";

const test = base
  .extend("settings", { scope: "file" }, () => ({}))
  .extend("world", { scope: "file" }, async ({ settings }, { onCleanup }) => {
    const world = await startGatewayWorld(settings);
    onCleanup(() => world.stop());
    return world;
  });

interface GatewayUnderTest {
  readonly example: GatewayExample;
  /** What it does otherwise than the table says, by the title of the case. docs/verifier.md says so, too. */
  readonly deviations: Readonly<Record<string, Partial<Refused>>>;
  /** What a client gets while no verifier can be reached. */
  readonly unreachable: Partial<Refused> & { readonly status: number };
  /** Whether clients whose requests pass see how much of their rate limit is left. */
  readonly showsRate: boolean;
}

const tools = findGatewayTools();
const refused = { status: 400, challenge: undefined };
const climbing = {
  "a path that leads back above the marker takes no scope away": refused,
  "a path that leads out of a route without a scope takes no scope away": refused,
};
const CASES: readonly GatewayCase[] = [
  {
    title: "a POST that waits for 100 Continue arrives",
    request: { method: "POST", body: "a=1", headers: ["Expect", "100-continue"] },
    expected: { passes: true },
  },
  ...GATEWAY_CASES,
];
const nginx = {
  deviations: { ...climbing, "two tokens are a bad request, even if the first is good": { challenge: undefined } },
  unreachable: { status: 503, hasRetryAfter: true },
  showsRate: true,
};
const GATEWAYS: readonly GatewayUnderTest[] = [
  { example: nginxExample("nginx", tools.nginx), ...nginx },
  { example: nginxExample("the nginx that is installed", tools.installedNginx), ...nginx },
  { example: traefikExample(tools.traefik), deviations: {}, unreachable: { status: 500 }, showsRate: false },
  { example: caddyExample(tools.caddy), deviations: climbing, unreachable: { status: 502 }, showsRate: true },
];

for (const { example, deviations, unreachable, showsRate } of GATEWAYS) {
  const withGateway = test.extend("gateway", { scope: "file" }, async ({ world }, { onCleanup }) => {
    const gateway = await startGateway(example, { verifier: world.verifier.gatewayPort, app: world.app.port });
    onCleanup(() => gateway.stop());
    return gateway;
  });

  describe.skipIf(example.program === undefined)(`with ${example.name}`, () => {
    withGateway.for(CASES)("$title", async (kase, { world, gateway }) => {
      await checkGatewayCase(world, gateway.url, kase, deviations[kase.title]);
    });

    withGateway.for(["/orders/../profile", "/orders/%2e%2e/profile", "/orders%2f..%2fprofile", "/x/..;/../profile"])(
      "%s is not decided on as one path and served as another",
      async (path, { world, gateway }) => {
        const { plaintext } = await world.issue("scopes = '{}'");
        const headers = ["Authorization", `Bearer ${plaintext}`];
        const { status, seen } = await askGateway(world, gateway.url, { path, headers });
        if (seen === undefined) expect(status).toBeOneOf([400, 403, 404]);
        else expect(seen.url).toBe(PROFILE_PATH);
      },
    );

    withGateway(
      "a client that shows too many wrong tokens is asked to wait, and its good token passes",
      async ({ world, gateway }) => {
        const ask = (token: string) =>
          askGateway(world, gateway.url, { from: "127.0.0.3", headers: ["Authorization", `Bearer ${token}`] });
        await eventually(async () => {
          const { status, headers } = await ask(createToken().plaintext);
          expect([status, headers["retry-after"]]).toEqual([429, "60"]);
        });
        const { plaintext } = await world.issue();
        await eventually(async () => expect((await ask(plaintext)).status).toBe(200));
      },
    );

    withGateway("a client learns how much of its rate limit is left, if it has one", async ({ world, gateway }) => {
      const ratesOf = async (changes?: string) => {
        const { plaintext } = await world.issue(changes);
        const { status, headers } = await askGateway(world, gateway.url, {
          headers: ["Authorization", `Bearer ${plaintext}`],
        });
        expect(status).toBe(200);
        return [headers["ratelimit-policy"], headers.ratelimit];
      };
      expect(await ratesOf(TWO_AN_HOUR)).toEqual(
        showsRate ? ['"token";q=2;w=3600', '"token";r=1;t=1800'] : [undefined, undefined],
      );
      expect(await ratesOf()).toEqual([undefined, undefined]);
    });

    test("nothing passes while no verifier can be reached", async ({ world }) => {
      const [verifier] = (await findFreePorts(1)) as [number];
      const gateway = await startGateway(example, { verifier, app: world.app.port });
      try {
        const { plaintext } = await world.issue();
        const answer = await askGateway(world, gateway.url, { headers: ["Authorization", `Bearer ${plaintext}`] });
        expect(answer.seen, "the application must not be asked").toBeUndefined();
        expect(answer.status).toBe(unreachable.status);
        expect(answer.headers["retry-after"] !== undefined).toBe(unreachable.hasRetryAfter ?? false);
      } finally {
        await gateway.stop();
      }
    });
  });
}
