/*
 * GitHub reads the issue forms, dependabot.yml and CODEOWNERS only after a push, and drops what it cannot read without
 * a word to whoever opened the issue. These tests check what can be checked before.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

const root = new URL("../../", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), "utf8");
const exists = (path: string) => existsSync(new URL(path, root));

interface FormElement {
  readonly type: string;
  readonly id?: string;
  readonly attributes: { readonly label?: string; readonly value?: string; readonly options?: readonly string[] };
}

interface Form {
  readonly name: string;
  readonly description: string;
  readonly labels: readonly string[];
  readonly body: readonly FormElement[];
}

const FORMS = readdirSync(new URL(".github/ISSUE_TEMPLATE", root)).filter((file) => file !== "config.yml");

describe.each(FORMS)("the issue form %s", (file) => {
  const text = read(`.github/ISSUE_TEMPLATE/${file}`);
  const form = parse(text) as Form;
  const fields = form.body.filter(({ type }) => type !== "markdown");

  test("has what GitHub requires of a form", () => {
    expect(form).toMatchObject({ name: expect.any(String), description: expect.any(String) });
    for (const { type, attributes } of form.body) {
      expect(["markdown", "textarea", "input", "dropdown", "checkboxes"]).toContain(type);
      if (type === "markdown") expect(attributes.value).toEqual(expect.any(String));
      else expect(attributes.label).toEqual(expect.any(String));
      if (type === "dropdown") expect(attributes.options?.length).toBeGreaterThan(1);
    }
  });

  test("asks for something, and for nothing twice", () => {
    expect(fields.length).toBeGreaterThan(0);
    for (const names of [fields.map(({ id }) => id), fields.map(({ attributes }) => attributes.label)]) {
      expect(new Set(names).size).toBe(names.length);
    }
  });

  test("links to pages that exist", () => {
    const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, link = ""]) => link);
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) {
      const path = /^\.\.\/(?:blob|tree)\/HEAD\/(.+)$/.exec(link)?.[1];
      expect(path !== undefined && exists(path), link).toBe(true);
    }
  });
});

test("the form for bugs names every program, and every issue starts from a form", () => {
  const { body } = parse(read(".github/ISSUE_TEMPLATE/bug.yml")) as Form;
  const { image } = parse(read("charts/apitoken-operator/values.yaml"));
  const programs = Object.keys(image).filter((name) => image[name]?.repository !== undefined);
  expect(body.find(({ id }) => id === "part")?.attributes.options).toEqual(expect.arrayContaining(programs));
  expect(parse(read(".github/ISSUE_TEMPLATE/config.yml"))).toEqual({ blank_issues_enabled: false });
});

test("the pull request's template names files and scripts that exist", () => {
  const text = read(".github/pull_request_template.md");
  const { scripts } = JSON.parse(read("package.json"));
  const code = [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
  for (const path of code.filter((code) => code.includes("/"))) expect(exists(path), path).toBe(true);
  for (const [, script = ""] of text.matchAll(/npm (?:run )?(\w+)/g)) expect(scripts).toHaveProperty([script]);
});

interface Update {
  readonly "package-ecosystem": string;
  readonly directory: string;
  readonly schedule: { readonly interval: string };
  readonly groups: Readonly<Record<string, unknown>>;
  readonly ignore?: readonly { readonly "dependency-name": string; readonly "update-types": readonly string[] }[];
}

describe("dependabot.yml", () => {
  const { version, updates } = parse(read(".github/dependabot.yml")) as { version: number; updates: Update[] };

  test("looks for updates of packages, actions and base images, in groups", () => {
    expect(version).toBe(2);
    expect(updates.map((update) => [update["package-ecosystem"], update.directory])).toEqual([
      ["npm", "/"],
      ["github-actions", "/"],
      ["docker", "/"],
    ]);
    for (const { schedule, groups } of updates) {
      expect(schedule.interval).toBe("weekly");
      expect(Object.keys(groups).length).toBeGreaterThan(0);
    }
  });

  test("leaves out the next major version of Node, wherever one is pinned", () => {
    const ignored = updates.map(({ ignore = [] }) => ignore.map((rule) => rule["dependency-name"]));
    expect(ignored).toEqual([["node", "@types/node"], [], ["node"]]);
    const { devDependencies } = JSON.parse(read("package.json"));
    const image = /^FROM node:(\d+)\./m.exec(read("Dockerfile"))?.[1];
    for (const name of ["node", "@types/node"]) expect(devDependencies[name].split(".")[0]).toBe(image);
  });
});

test("CODEOWNERS names only paths that exist, and puts no line into force whose owner is a placeholder", () => {
  const lines = read(".github/CODEOWNERS").split("\n");
  const suggested = lines.flatMap((line) => /^# (\S+) {2,}@ORGANISATION\/TEAM$/.exec(line)?.[1] ?? []);
  const inForce = lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(/\s+/));
  expect(suggested.length + inForce.length).toBeGreaterThan(0);
  for (const path of [...suggested, ...inForce.map(([path = ""]) => path)]) {
    if (path !== "*") expect(exists(`.${path}`), path).toBe(true);
  }
  for (const [path, ...owners] of inForce) {
    expect(owners.length, path).toBeGreaterThan(0);
    for (const owner of owners) expect(owner).toMatch(/^@(?!ORGANISATION|ACCOUNT)[\w-]+(\/[\w-]+)?$/);
  }
});
