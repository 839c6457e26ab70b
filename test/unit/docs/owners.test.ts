/*
 * What people copy works after an installation: every ApiToken of the guides and examples acts for an owner that the policy
 * allows which the chart installs.
 */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { ApiToken } from "../../../src/kube/resources/api-token.ts";
import { type PolicyResource, parsePolicy } from "../../../src/kube/resources/policy.ts";
import { judge } from "../../../src/token/policy.ts";
import { readProjectFile, readYamlBlocks } from "./tables.ts";

const readYaml = (file: string) => parse(readProjectFile(file));
const PLATFORM = "examples/platform";

const guides = ["README.md", ...readdirSync("docs").filter((file) => file.endsWith(".md"))].map((file) =>
  file === "README.md" ? file : `docs/${file}`,
);
const examples = ["examples", "examples/refused", PLATFORM].flatMap((folder) =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => `${folder}/${file}`),
);

interface Sample {
  readonly place: string;
  readonly resource: ApiToken;
}

/** With an owner: one of the refused examples has none. */
const samples: readonly Sample[] = [
  ...guides.flatMap((place) => readYamlBlocks(readProjectFile(place)).map((resource) => ({ place, resource }))),
  ...examples.map((place) => ({ place, resource: readYaml(place) })),
]
  .filter(({ resource }) => resource?.kind === "ApiToken" && resource.spec.owner !== undefined)
  .map(({ place, resource }) => ({ place, resource: resource as unknown as ApiToken }));

/** The verdict in the sample's namespace, which is "default" unless it says otherwise. */
function judgeSample({ resource }: Sample, policyFile: string) {
  const { namespace = "default" } = resource.metadata;
  const { owner, scopes = [] } = resource.spec as { owner: string; scopes?: string[] };
  const policy = parsePolicy(readYaml(policyFile) as PolicyResource);
  return judge([{ ...policy, namespaceSelector: {} }], { namespace, namespaceLabels: {}, owner, scopes }).kind;
}

test("there are some in the guides and in the examples", () => {
  expect(samples.filter(({ place }) => place.endsWith(".md")).length).toBeGreaterThan(6);
  expect(samples.filter(({ place }) => place.endsWith(".yaml")).length).toBeGreaterThan(6);
});

test.each(samples.map((sample) => [sample.place, sample.resource.metadata.name, sample] as const))(
  "%s: the owner of %s is allowed",
  (place, _name, sample) => {
    // The person in it is allowed by a policy for people, and by no other.
    const isPerson = place === `${PLATFORM}/mallory.yaml`;
    expect(judgeSample(sample, `${PLATFORM}/default-policy.yaml`)).toBe(isPerson ? "denied" : "allowed");
    expect(judgeSample(sample, `${PLATFORM}/people-policy.yaml`)).toBe(isPerson ? "allowed" : "denied");
  },
);

describe("the policies in the examples", () => {
  const policies = examples.filter((file) => file.startsWith(PLATFORM) && readYaml(file).kind === "ApiTokenPolicy");

  test.each(policies)("%s can be read, and takes precedence over the default one", (file) => {
    const { name, priority } = parsePolicy(readYaml(file) as PolicyResource);
    if (name !== "default") expect(priority).toBeGreaterThan(-1_000);
  });

  test("name the danger of the one that allows everything", () => {
    const open = policies.filter((file) => readYaml(file).spec.owners.includes("*"));
    expect(open).toEqual([`${PLATFORM}/open-policy.yaml`]);
    expect(readProjectFile(`${PLATFORM}/open-policy.yaml`)).toMatch(/^# DANGER: .*anyone who may create an ApiToken/m);
  });
});

test("docs/people.md has the policy for people of the examples", () => {
  const [inGuide] = readYamlBlocks(readProjectFile("docs/people.md")).filter(({ kind }) => kind === "ApiTokenPolicy");
  expect(inGuide).toEqual(readYaml(`${PLATFORM}/people-policy.yaml`));
});
