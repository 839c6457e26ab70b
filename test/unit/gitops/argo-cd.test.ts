import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { listSamples, type Sample } from "../../support/gitops/every-reason.ts";
import { askKstatus, hasGitOpsTools, runInArgo } from "../../support/gitops/tools.ts";
import { codeIn, readProjectFile, readTable } from "../docs/tables.ts";

const { data } = parse(readProjectFile("gitops/argo-cd/argocd-cm.yaml")) as { data: Record<string, string> };
const healthOf = (kind: string) => data[`resource.customizations.health.apitoken.dev_${kind}`] ?? "";
const actions = parse(data["resource.customizations.actions.apitoken.dev_ApiToken"] ?? "") as {
  "discovery.lua": string;
  definitions: { name: string; "action.lua": string }[];
};

interface Health {
  readonly status: string;
  readonly message: string;
}

const judge = ({ kind }: Pick<Sample, "kind">, resource: object) => runInArgo(healthOf(kind), [resource])[0] as Health;

/** Argo CD's word for each of kstatus'. */
const WORDS: Readonly<Record<string, string>> = { Current: "Healthy", InProgress: "Progressing", Failed: "Degraded" };

test("docs/lifecycle.md gives each status of kstatus Argo CD's word for it", () => {
  for (const [, , reasons, kstatus = "", health] of readTable(
    readProjectFile("docs/lifecycle.md"),
    "## What tools see",
  )) {
    expect(health, codeIn(reasons).join()).toBe(kstatus.replace(/\w+/g, (word) => WORDS[word] ?? word));
  }
});

describe.skipIf(!hasGitOpsTools)("in Argo CD", () => {
  test("the health of every reason is what kstatus says, with the reason", () => {
    for (const kind of ["ApiToken", "OwnerBlock", "ApiTokenPolicy"] as const) {
      const samples = listSamples().filter((sample) => sample.kind === kind);
      const resources = samples.map(({ resource }) => resource);
      const health = runInArgo(healthOf(kind), resources) as Health[];
      const expected = askKstatus(resources).map(({ status }) => WORDS[status]);
      expect(health.map(({ status }, index) => [samples[index]?.reason, status])).toEqual(
        expected.map((status, index) => [samples[index]?.reason, status]),
      );
      for (const [index, { message }] of health.entries()) expect(message).toContain(samples[index]?.reason);
    }
  });

  test.each([
    ["that no controller has seen", { generation: 1 }, undefined],
    ["that has the API server's status only", { generation: 1 }, { observedGeneration: -1 }],
    ["whose last change was not processed", { generation: 4 }, listSamples()[0]?.resource.status],
  ])("a resource %s is Progressing", (_, metadata, status) => {
    expect(judge({ kind: "ApiToken" }, { metadata, spec: {}, status })).toMatchObject({
      status: "Progressing",
      message: expect.stringContaining("Waiting for the controller"),
    });
  });

  describe("the action", () => {
    const token = { metadata: { name: "orders" }, spec: { owner: "shop/orders", scopes: ["a"] } };
    const run = (name: string, resource: object) =>
      runInArgo(actions.definitions.find((action) => action.name === name)?.["action.lua"] ?? "", [resource])[0];
    const discover = (resource: object) => runInArgo(actions["discovery.lua"], [resource])[0];

    test("rotate asks for a rotation now, and keeps other annotations", () => {
      const before = Date.now() - 1_000;
      const { metadata, spec } = run("rotate", {
        ...token,
        metadata: { ...token.metadata, annotations: { a: "b" } },
      }) as {
        metadata: { annotations: Record<string, string> };
        spec: object;
      };
      expect(spec).toEqual(token.spec);
      expect(metadata.annotations.a).toBe("b");
      const requestedAt = metadata.annotations["apitoken.dev/rotate-requested-at"] ?? "";
      expect(requestedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(Date.parse(requestedAt)).toBeGreaterThan(before);
      expect(run("rotate", token)).toHaveProperty(["metadata", "annotations", "apitoken.dev/rotate-requested-at"]);
    });

    test("revoke revokes, and changes nothing else", () => {
      const spec = { ...token.spec, revoked: true, revocationReason: "revoked in Argo CD" };
      expect(run("revoke", token)).toEqual({ ...token, spec });
    });

    test("is offered until the token has ended for good", () => {
      const isOffered = (resource: object) => discover(resource);
      const offered = { rotate: { disabled: false }, revoke: { disabled: false } };
      const withheld = { rotate: { disabled: true }, revoke: { disabled: true } };
      expect(isOffered(token)).toEqual(offered);
      expect(isOffered({ ...token, spec: { ...token.spec, revoked: true } })).toEqual(withheld);
      for (const { kind, reason, resource } of listSamples().filter((sample) => sample.kind === "ApiToken")) {
        const isFinal = reason === "RevokedBySpec" || reason === "Superseded";
        expect(isOffered(resource), `${kind} ${reason}`).toEqual(isFinal ? withheld : offered);
      }
    });
  });
});
