import { existsSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { type ApiToken, parseSpec } from "../../../src/kube/resources/api-token.ts";
import { type OwnerBlock, parseOwnerBlock } from "../../../src/kube/resources/owner-block.ts";
import { type PolicyResource, parsePolicy } from "../../../src/kube/resources/policy.ts";
import { readProjectFile, readYamlBlocks } from "./tables.ts";

const root = new URL("../../../", import.meta.url);
const TEXTS = [
  ...["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"],
  "examples/refused/README.md",
  ...readdirSync(new URL("docs", root), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
];

/** The anchor that GitHub generates for a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

test.each(TEXTS)("every link of %s leads somewhere", (file) => {
  const text = readProjectFile(file).replaceAll(/`[^`\n]*`/g, "");
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target as string);
  for (const link of links.filter((target) => !/^https?:/.test(target))) {
    const { pathname, hash } = new URL(link, new URL(file, "project:///"));
    const target = link.startsWith("#") ? file : pathname.slice(1);
    expect(existsSync(new URL(target, root)), link).toBe(true);
    if (hash === "") continue;
    const headings = [...readProjectFile(target).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading ?? ""));
    expect(headings, link).toContain(hash.slice(1));
  }
});

const READERS: Readonly<Record<string, (resource: never) => unknown>> = {
  ApiToken: (resource: ApiToken) => parseSpec(resource).problem,
  ApiTokenPolicy: (resource: PolicyResource) => void parsePolicy(resource),
  OwnerBlock: (resource: OwnerBlock) => parseOwnerBlock(resource).problem,
};

/** Guides also show resources of other projects, which our schemas cannot check. */
const isOurs = ({ apiVersion, kind }: Record<string, unknown>) =>
  String(kind) in READERS || String(apiVersion).startsWith("apitoken.dev/");

test.each(TEXTS)("every resource in %s is valid", (file) => {
  for (const resource of readYamlBlocks(readProjectFile(file)).filter(isOurs)) {
    expect(READERS[String(resource.kind)]?.(resource as never), JSON.stringify(resource.metadata)).toBeUndefined();
    expect(Object.keys(READERS)).toContain(resource.kind);
  }
});
