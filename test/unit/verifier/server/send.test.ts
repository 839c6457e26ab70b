/*
 * Kept answers against Node's own: the same bytes, however often they are sent and whatever the client wants of its connection.
 */
import { test as base, describe, expect } from "vitest";
import { emptyAnswer, type HttpAnswer, jsonAnswer, KeptAnswer } from "../../../../src/verifier/faces/answer.ts";
import { startHttpServer } from "../../../../src/verifier/server/http-server.ts";
import { send } from "../../../../src/verifier/server/send.ts";
import { eventually } from "../../../support/eventually.ts";
import { exchange } from "../../../support/exchange.ts";

const ANSWERS: Readonly<Record<string, HttpAnswer>> = {
  "/empty": emptyAnswer(200, ["X-Auth-Owner", "alice", "X-Auth-Scopes", "", "Cache-Control", "no-store"]),
  "/refusal": emptyAnswer(401, ["WWW-Authenticate", 'Bearer realm="apitoken"', "Cache-Control", "no-store"]),
  "/ascii": jsonAnswer(200, { active: true, sub: "alice" }),
  "/unicode": jsonAnswer(200, { active: true, metadata: { team: "Größe ✓" } }),
};
const kept = new Map(Object.entries(ANSWERS).map(([path, answer]) => [path, new KeptAnswer(answer)]));

const test = base
  .extend("server", { scope: "file" }, () =>
    startHttpServer({
      port: 0,
      tls: undefined,
      handle(request, response) {
        const { pathname, search } = new URL(request.url ?? "", "http://server");
        const answer = search === "?kept" ? kept.get(pathname) : ANSWERS[pathname];
        if (search === "?copy") send(response, { ...kept.get("/empty"), status: 200, headers: ["X-Copy", "1"] });
        else send(response, answer ?? emptyAnswer(404));
      },
    }),
  )
  .extend("port", { scope: "file" }, ({ server }, { onCleanup }) => {
    onCleanup(() => server.close(100));
    return server.port;
  });

const request = (method: string, target: string, headers = "", version = "1.1") =>
  `${method} ${target} HTTP/${version}\r\nHost: a\r\n${headers}\r\n`;
const CLOSE = "Connection: close\r\n";
const withoutDate = (answer: string) => answer.replaceAll(/Date: [^\r]+ GMT/g, "Date: …");

describe.each(Object.keys(ANSWERS))("the kept answer %s has the bytes of Node's own", (path) => {
  const WAYS: [string, (target: string) => string][] = [
    ["sent once", (target) => request("GET", target, CLOSE)],
    [
      "to requests that come one after the other before they are answered",
      (target) => request("GET", target).repeat(5) + request("GET", target, CLOSE),
    ],
    ["to HEAD", (target) => request("HEAD", target).repeat(2) + request("HEAD", target, CLOSE)],
    ["to a client of HTTP/1.0", (target) => request("GET", target, "", "1.0")],
    [
      "to a client of HTTP/1.0 that keeps its connection",
      (target) =>
        request("GET", target, "Connection: keep-alive\r\n", "1.0").repeat(3) + request("GET", target, "", "1.0"),
    ],
  ];
  test.for(WAYS)("%s", async ([, makeText], { port }) => {
    const [own, ...again] = [
      await exchange(port, makeText(path)),
      await exchange(port, makeText(`${path}?kept`)),
      await exchange(port, makeText(`${path}?kept`)),
    ];
    expect(again.map(withoutDate)).toEqual([withoutDate(own), withoutDate(own)]);
    expect(own).toMatch(/\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/);
  });
});

test("the date of a kept answer is that of its sending", async ({ port }) => {
  const ask = () => exchange(port, request("GET", "/empty?kept").repeat(2) + request("GET", "/empty", CLOSE));
  const datesOf = (answers: string) => [...answers.matchAll(/Date: ([^\r]+)/g)].map(([, date]) => date);
  const [first] = datesOf(await ask());
  await eventually(async () => expect(datesOf(await ask())).not.toContain(first));
  const fromMs = Math.floor(Date.now() / 1_000) * 1_000 - 1_000; // a timer may be a little late
  for (const date of datesOf(await ask())) {
    expect(Date.parse(date ?? "")).toBeGreaterThanOrEqual(fromMs);
    expect(Date.parse(date ?? "")).toBeLessThanOrEqual(Date.now());
  }
});

test("a copy of a kept answer is sent with its own headers", async ({ port }) => {
  await exchange(port, request("GET", "/empty?kept").repeat(2) + request("GET", "/empty?kept", CLOSE));
  const answer = await exchange(port, request("GET", "/empty?copy", CLOSE));
  expect(answer).toContain("X-Copy: 1");
  expect(answer).not.toContain("X-Auth-Owner");
});
