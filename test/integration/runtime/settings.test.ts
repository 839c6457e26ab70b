import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const PROGRAMS = ["controller", "migrate", "cleanup"] as const;
const URL_OF_NOTHING = "postgres://u:hunter2@127.0.0.1:1/nothing";

/** Runs the real program, which must end before it has tried to connect to anything. */
function run(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const path = fileURLToPath(new URL(`../../../src/${name}/main.ts`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, DATABASE_URL: URL_OF_NOTHING, ...env },
  });
  return { status, stdout, stderr };
}

/** How often one text occurs in another. */
const count = (text: string, part: string) => text.split(part).length - 1;

function expectRefusal({ status, stdout, stderr }: ReturnType<typeof run>, fault: string): void {
  expect(stderr).toContain(fault);
  expect(stderr).not.toContain("hunter2");
  expect(count(stderr, '--help" for options and settings.\n')).toBe(1);
  expect(stdout).toBe("");
  expect(status).toBe(2);
}

for (const name of PROGRAMS) {
  test.each([
    ["postgres://u:hunter2@127.0.0.1:notaport/x", "its port is not between 1 and 65535"],
    ["postgres://", "names no host"],
    ["postgres://%zz", 'contains a stray "%"'],
    [
      "postgres://u:hunter2@127.0.0.1/x?sslrootcert=/nope",
      "names in its parameter sslrootcert a file that cannot be read: /nope",
    ],
  ])(`${name} refuses the DATABASE_URL %s`, (url, fault) => {
    const result = run(name, [], { DATABASE_URL: url });
    expectRefusal(result, `${name}: DATABASE_URL is invalid: it `);
    expectRefusal(result, fault);
  });

  test(`${name} -h prints what --help prints`, () => {
    const help = run(name, ["-h"]);
    expect(help).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining("-h, --help") });
    expect(run(name, ["--help"])).toEqual(help);
  });
}

test("the controller refuses settings that cannot work together", () => {
  const result = run("controller", [], { APITOKEN_LEASE_DURATION: "5s" });
  expectRefusal(result, "the default 10s of APITOKEN_LEASE_RENEW_DEADLINE");
});
