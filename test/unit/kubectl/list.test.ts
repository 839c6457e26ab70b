import { describe, expect, test } from "vitest";
import { ownersOf } from "../../../src/kubectl/client/whoami.ts";
import { type Filter, passes } from "../../../src/kubectl/look/filter.ts";
import { createRowFormat, formatList, toItem } from "../../../src/kubectl/look/list-text.ts";
import { summarizeAll, toSummaryObject } from "../../../src/kubectl/look/summary.ts";
import { formatSummary } from "../../../src/kubectl/look/summary-text.ts";
import { anApiToken, DAY_MS, fromNow, NOW, type Parts } from "./builders.ts";

const PAGE = { paint: (_: unknown, text: string) => text, width: 100 };
const LAYOUT = { hasNamespaces: false, isWide: false };
const week = 7 * DAY_MS;
const ending = { status: { expiresAt: fromNow(DAY_MS), renewAt: undefined } };

describe("a filter", () => {
  test.each<[string, Filter, Parts, boolean]>([
    ["by owner takes that owner", { owner: "shop/orders" }, {}, true],
    ["by owner takes no other", { owner: "shop/order" }, {}, false],
    ["by a glob takes what it matches", { owner: "shop/*" }, {}, true],
    ["of mine takes my own", { mine: ["oidc:alice", "alice"] }, { spec: { owner: "alice" } }, true],
    [
      "of mine takes what I asked for",
      { mine: ["alice"] },
      { metadata: { annotations: { "apitoken.dev/requested-by": "alice" } } },
      true,
    ],
    ["of mine leaves others", { mine: ["alice"] }, {}, false],
    ["of what expires takes what ends without a renewal", { expiringMs: week }, ending, true],
    [
      "of what expires leaves what is renewed before",
      { expiringMs: week },
      { status: { expiresAt: fromNow(DAY_MS), renewAt: fromNow(1_000) } },
      false,
    ],
    [
      "of what expires takes what should have been renewed",
      { expiringMs: week },
      { status: { expiresAt: fromNow(DAY_MS), renewAt: fromNow(-600_000) } },
      true,
    ],
    [
      "of what expires takes what is renewed too late",
      { expiringMs: week },
      { status: { expiresAt: fromNow(DAY_MS), renewAt: fromNow(2 * DAY_MS) } },
      true,
    ],
    ["of what expires leaves what ends later", { expiringMs: 1_000 }, ending, false],
    ["of what expires leaves what has ended", { expiringMs: week }, { status: { expiresAt: fromNow(-1) } }, false],
    ["of what is unused takes what was never used", { unusedMs: week }, {}, true],
    [
      "of what is unused takes what was used before",
      { unusedMs: week },
      { status: { lastUsedAt: fromNow(-week) } },
      true,
    ],
    [
      "of what is unused leaves what was used since",
      { unusedMs: week },
      { status: { lastUsedAt: fromNow(-1) } },
      false,
    ],
    ["of what is unused leaves what is younger", { unusedMs: 11 * DAY_MS }, {}, false],
    ["of what is not Ready leaves what is", { isNotReadyOnly: true }, {}, false],
    ["of what is not Ready takes what is not", { isNotReadyOnly: true }, { status: { conditions: [] } }, true],
  ])("%s", (_, filter, parts, expected) => {
    expect(passes(filter, anApiToken(parts), NOW)).toBe(expected);
  });
});

test.each([
  ["alice", ["alice"]],
  ["oidc:alice@example.com", ["oidc:alice@example.com", "alice@example.com"]],
  ["a:b:c", ["a:b:c", "b:c", "c"]],
])("the user %s may own %j", (username, owners) => {
  expect(ownersOf(username)).toEqual(owners);
});

test("rows that are printed one by one have the columns of the table", () => {
  const tokens = [anApiToken(), anApiToken({ metadata: { name: "a-much-longer-name" } })];
  const [, first = ""] = formatList(tokens, LAYOUT, NOW, PAGE.paint);
  expect(createRowFormat(tokens, LAYOUT, NOW, PAGE.paint)(anApiToken(), NOW)).toBe(first);
});

test("an item for programs keeps the names of its fields", () => {
  expect(Object.keys(toItem(anApiToken()))).toEqual(
    "namespace name owner requestedBy scopes ready reason message tokenId revision issuedAt expiresAt renewAt lastUsedAt previous policy secretName createdAt".split(
      " ",
    ),
  );
});

describe("a summary", () => {
  const failing = anApiToken({ metadata: { name: "bad" }, ready: { status: "False", reason: "PolicyDenied" } });

  test("counts the reasons, and lists what needs somebody", () => {
    const used = { previous: { tokenId: "b", validUntil: fromNow(1), lastUsedAt: fromNow(-1) } };
    const tokens = [anApiToken(), failing, anApiToken({ ...ending }), anApiToken({ status: used })];
    const summary = summarizeAll(tokens, "shop", NOW);
    expect(summary).toMatchObject({ total: 4, ready: 3, reasons: { Issued: 3, PolicyDenied: 1 } });
    expect(toSummaryObject(summary)).toMatchObject({
      notReady: [{ name: "bad", reason: "PolicyDenied" }],
      ending: [{ name: "orders" }],
      previousUsed: [{ name: "orders" }],
    });
    const text = formatSummary(summary, NOW, PAGE);
    expect(text.split("\n")[0]).toBe("1 of 4 ApiTokens in the namespace shop is not Ready.");
    expect(text).toContain("kubectl apitoken status bad -n shop");
  });

  test("lists twenty, and says how to list the others", () => {
    const text = formatSummary(summarizeAll(Array(25).fill(failing), undefined, NOW), NOW, PAGE);
    expect(text.match(/PolicyDenied/g)).toHaveLength(20);
    expect(text).toContain("and 5 more: kubectl apitoken list --not-ready -A");
  });

  test.each([
    [[], "There are no ApiTokens in the namespace shop."],
    [[anApiToken()], "The only ApiToken in the namespace shop is Ready."],
    [[anApiToken(), anApiToken()], "All 2 ApiTokens in the namespace shop are Ready."],
  ])("of %# begins with the verdict", (tokens, verdict) => {
    expect(formatSummary(summarizeAll(tokens, "shop", NOW), NOW, PAGE)).toContain(verdict);
  });
});
