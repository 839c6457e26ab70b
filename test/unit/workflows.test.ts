import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { readOptions } from "../e2e/options.ts";

/* What can be said of the workflows of GitHub Actions without running them. */

const root = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");

interface Step {
  readonly id?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly uses?: string;
  readonly needs?: string | readonly string[];
  readonly permissions?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number;
  readonly strategy?: { readonly matrix: Readonly<Record<string, readonly unknown[]>> };
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const readWorkflow = (file: string) => parse(read(`.github/workflows/${file}`)) as Workflow;
const stepsOf = ({ jobs }: Workflow) => Object.values(jobs).flatMap(({ steps = [] }) => steps);

describe.each(readdirSync(new URL(".github/workflows", root)))("the workflow %s", (file) => {
  const workflow = readWorkflow(file);

  test("may only read the sources and, if it publishes, write packages or a release, and sign packages", () => {
    expect(workflow.permissions).toEqual({ contents: "read" });
    for (const [name, { permissions = {}, steps = [] }] of Object.entries(workflow.jobs)) {
      const { contents = "read", packages = "write", "id-token": identity, ...others } = permissions;
      const makesRelease = file === "release.yaml" && name === "plugin-release";
      expect({ contents, packages, others }).toEqual({
        contents: makesRelease ? "write" : "read",
        packages: "write",
        others: {},
      });
      const isSigning = steps.some(({ run = "" }) => run.includes("cosign sign"));
      expect(identity).toBe(isSigning ? "write" : undefined);
    }
  });

  test("pins actions to a version's tag, and leaves no credentials in the checkout", () => {
    for (const { uses, with: inputs } of stepsOf(workflow).filter(({ uses }) => uses !== undefined)) {
      expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+(\.\d+)*$/);
      if (uses?.startsWith("actions/checkout@")) expect(inputs).toMatchObject({ "persist-credentials": false });
    }
  });

  test("needs only jobs that exist, and limits the time of each", () => {
    for (const [name, job] of Object.entries(workflow.jobs)) {
      for (const needed of [job.needs ?? []].flat()) expect(workflow.jobs).toHaveProperty(needed);
      if (job.uses === undefined) expect(job["timeout-minutes"], name).toBeGreaterThan(0);
      else expect(existsSync(new URL(job.uses, root)), job.uses).toBe(true);
    }
  });

  test("runs scripts and reads files that exist", () => {
    const { scripts } = JSON.parse(read("package.json"));
    for (const { run = "", with: inputs = {} } of stepsOf(workflow)) {
      for (const [, script] of run.matchAll(/npm run ([\w:]+)/g)) expect(scripts).toHaveProperty([script as string]);
      const goModule = inputs["go-version-file"];
      if (goModule !== undefined) expect(existsSync(new URL(String(goModule), root)), String(goModule)).toBe(true);
    }
  });
});

test("a release publishes an image for each program of the chart", () => {
  const targets = readWorkflow("release.yaml").jobs.images?.strategy?.matrix.target;
  const { image } = parse(read("charts/apitoken-operator/values.yaml"));
  const inChart = Object.keys(image).filter((name) => image[name]?.repository !== undefined);
  const stages = [...read("Dockerfile").matchAll(/^FROM runtime AS (\w+)$/gm)].map(([, stage]) => stage);
  expect([...(targets ?? [])].sort()).toEqual(inChart.sort());
  expect(stages.sort()).toEqual(inChart);
});

test("a release attaches to each image the SBOM of its own bundle", () => {
  const steps = readWorkflow("release.yaml").jobs.images?.steps ?? [];
  const { env, run } = steps.find(({ run = "" }) => run.includes("oras attach")) ?? {};
  expect(env?.TARGET).toBe("${{ matrix.target }}");
  expect(env?.IMAGE).toMatch(/-\$\{\{ matrix\.target \}\}@\$\{\{ steps\.image\.outputs\.digest \}\}$/);
  expect(steps.some(({ id, uses }) => id === "image" && uses?.startsWith("docker/build-push-action@"))).toBe(true);
  expect(run).toMatch(/sbom -- "\$TARGET" > sbom\.cdx\.json\noras attach .*"\$IMAGE" sbom\.cdx\.json/);
});

test("a release signs each image and the chart by digest, and attests the SBOM of the image", () => {
  const { images, chart } = readWorkflow("release.yaml").jobs;
  const signing = (steps: readonly Step[] = []) => steps.find(({ run = "" }) => run.includes("cosign sign"));
  expect(signing(images?.steps)?.env?.IMAGE).toMatch(/@\$\{\{ steps\.image\.outputs\.digest \}\}$/);
  expect(signing(images?.steps)?.run).toContain(
    'cosign attest --yes --type cyclonedx --predicate sbom.cdx.json "$IMAGE"',
  );
  expect(signing(chart?.steps)?.run).toContain('cosign sign --yes "$chart@$(oras resolve "$chart:$VERSION")"');
  for (const verified of ["cosign verify ", "cosign verify-attestation --type cyclonedx "]) {
    expect(read("docs/install.md")).toContain(verified);
  }
});

describe("Artifact Hub", () => {
  const { annotations } = parse(read("charts/apitoken-operator/Chart.yaml")) as { annotations: Record<string, string> };
  const listed = (name: string) =>
    parse(annotations[`artifacthub.io/${name}`] ?? "") as { kind: string; name: string }[];

  test("lists every CRD of the chart, with an example", () => {
    const crds = readdirSync(new URL("crds", root)).map((file) => parse(read(`crds/${file}`)));
    const facts = crds.map(({ metadata, spec }) => [spec.names.kind, spec.versions[0].name, metadata.name]);
    expect(
      listed("crds")
        .map(({ kind, version, name }: { kind: string; version?: string; name: string }) => [kind, version, name])
        .sort(),
    ).toEqual(facts.sort());
    expect(
      listed("crdsExamples")
        .map(({ kind }) => kind)
        .sort(),
    ).toEqual(facts.map(([kind]) => kind));
  });

  test("gets a file about the repository with each release", () => {
    expect(parse(read("charts/artifacthub-repo.yml"))).toHaveProperty("owners");
    expect(
      readWorkflow("release.yaml").jobs.chart?.steps?.some(({ run = "" }) => run.includes("artifacthub-repo.yml")),
    ).toBe(true);
  });
});

test.each([
  ["no release", [], "main", undefined],
  ["the first release itself", ["v0.1.0"], "v0.1.0", undefined],
  ["a release, on main", ["v0.1.0", "v0.9.0", "v0.10.0", "other"], "main", "0.10.0"],
  ["a release before this one", ["v0.1.0", "v0.2.0"], "v0.2.0", "0.1.0"],
])("with %s the e2e upgrades from the one before, if there is one", (_what, tags, ref, version) => {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-tags-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: folder });
  git("init", "--quiet");
  git("commit", "--quiet", "--allow-empty", "--message=a");
  for (const tag of tags) git("tag", tag);
  git("remote", "add", "origin", folder);
  const { run = "" } = stepsOf(readWorkflow("ci.yaml")).find(({ id }) => id === "previous") ?? {};
  const output = join(folder, "output");
  const env = { ...process.env, GITHUB_REF_NAME: ref, GITHUB_REPOSITORY_OWNER: "Somebody", GITHUB_OUTPUT: output };
  execFileSync("bash", ["-e", "-c", run], { cwd: folder, env });
  const options = existsSync(output)
    ? readFileSync(output, "utf8")
        .replace(/^options=/, "")
        .trim()
        .split(" ")
    : [];
  const images = { registry: "ghcr.io/somebody", tag: undefined };
  expect(readOptions(options).previous).toEqual(
    version === undefined
      ? undefined
      : {
          chart: `oci://ghcr.io/somebody/charts/apitoken-operator:${version}`,
          images: expect.objectContaining(images),
        },
  );
});
