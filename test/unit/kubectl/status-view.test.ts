import { describe, expect, test } from "vitest";
import { readApiToken } from "../../../src/kubectl/client/api-token.ts";
import { formatStatus } from "../../../src/kubectl/look/status-text.ts";
import { describeStatus } from "../../../src/kubectl/look/status-view.ts";
import { REASONS } from "../../../src/token/reasons.ts";
import { anApiToken, DAY_MS, fromNow, NOW, type Parts } from "./builders.ts";

const PAGE = { paint: (_: unknown, text: string) => text, width: 100 };
const textOf = (parts: Parts) => formatStatus(describeStatus(anApiToken(parts), []), NOW, PAGE);
const notReady = (reason: string, message = "") => ({ ready: { status: "False", reason, message } });

describe("the verdict", () => {
  test.each<[string, Parts, string]>([
    ["a token that is as it should be", {}, "shop/orders is Ready: the Secret orders holds a token that works."],
    [
      "a token that works while a change waits",
      { ready: { status: "True", reason: "PolicyMissing" } },
      "shop/orders is Ready, and something is waiting: PolicyMissing.",
    ],
    ["a spec that no controller has read yet", { metadata: { generation: 2 } }, "something is waiting: Issued."],
    ["an ApiToken that is not Ready", notReady("PolicyDenied"), "shop/orders is not Ready: PolicyDenied. (for 10d)"],
    ["a reason of a newer controller", notReady("EclipseOfTheMoon"), "is not Ready: EclipseOfTheMoon."],
    ["an ApiToken without a status", { status: { conditions: [] } }, "no controller has looked at it yet."],
    ["a deletion", { metadata: { deletionTimestamp: fromNow(0) } }, "shop/orders is being deleted."],
  ])("of %s comes first", (_, parts, expected) => {
    expect(textOf(parts).split("\n")[0]).toContain(expected);
  });

  test("of an ApiToken that is not Ready is followed by the message and the remedy", () => {
    const [, message, remedy] = textOf(notReady("OwnerBlocked", "Owner is blocked.")).split("\n");
    expect(message).toBe("  Owner is blocked.");
    expect(remedy).toMatch(/^ {2}What to do: Delete the OwnerBlock\./);
  });

  test.each(REASONS.map((reason) => [reason]))("has a next command with the reason %s", (reason) => {
    expect(describeStatus(anApiToken(notReady(reason)), []).next[0]).toBe(`kubectl apitoken explain ${reason}`);
  });
});

describe("the facts", () => {
  test("show when the token is renewed and expires, on a line of its life", () => {
    const text = textOf({});
    expect(text).toContain("Renews     2026-06-28T12:00:00Z (in 17d)");
    expect(text).toContain("Expires    2026-07-01T12:00:00Z (in 20d)");
    expect(text).toMatch(/├─+●─+┼─+┤/);
  });

  test("name the Secret and its keys, and nothing that is in it", () => {
    expect(textOf({ spec: { secret: { data: { header: "Bearer ${token}" } } } })).toContain(
      "Secret     orders, keys token and header",
    );
  });

  test("say that a rotation was requested and has not been carried out", () => {
    const annotations = { "apitoken.dev/rotate-requested-at": "now" };
    expect(textOf({ metadata: { annotations } })).toContain("Requested  a rotation");
    expect(textOf({ metadata: { annotations }, status: { lastHandledRotateAt: "now" } })).not.toContain("Requested");
  });

  test("say that Events may not be listed", () => {
    expect(formatStatus(describeStatus(anApiToken(), undefined), NOW, PAGE)).toContain("you may not list them");
  });
});

describe("of the previous token it is said", () => {
  const status = (lastUsedAt?: string) => ({
    status: { previous: { tokenId: "bbbbbbbbbbbb", validUntil: fromNow(3_600_000), lastUsedAt } },
  });

  test.each<[string, string | undefined, string]>([
    ["that it is still used", fromNow(-60_000), "still used: 60s ago"],
    ["that it has not been used since", fromNow(-11 * DAY_MS), "not used since token aaaaaaaaaaaa was issued"],
    ["that no use is known", undefined, "no use of it has been reported"],
  ])("%s", (_, lastUsedAt, expected) => {
    const text = textOf(status(lastUsedAt));
    expect(text).toContain("bbbbbbbbbbbb, works until 2026-06-11T13:00:00Z (in 60m)");
    expect(text).toContain(expected);
  });
});

test("of a token that was revoked, no expiry is shown, and no condition repeats the verdict", () => {
  const conditions = ["Stalled", "Revoked"].map((type) => ({ type, status: "True", message: "It was blocked." }));
  const text = textOf({ ...notReady("OwnerBlocked", "It was blocked."), conditions });
  expect(text).toContain("aaaaaaaaaaaa, revision 1, revoked");
  expect(text).not.toContain("Expires");
  expect(text.match(/It was blocked\./g)).toHaveLength(1);
});

test("what somebody has written into a resource cannot control the terminal", () => {
  const clear = "\u001b[2J";
  const text = textOf({
    spec: { description: clear, owner: clear, scopes: [clear], secret: { name: clear, key: clear } },
    ready: { status: "False", reason: clear, message: clear },
    status: { secretName: undefined, policy: clear },
  });
  expect(text).not.toContain("\u001b");
});

test("an object of any shape can be read", () => {
  for (const raw of [undefined, null, 1, {}, { metadata: 1, spec: [], status: "x" }, { status: { conditions: [1] } }]) {
    expect(describeStatus(readApiToken(raw), []).verdict).toMatch(/Pending|NotReady/);
  }
});
