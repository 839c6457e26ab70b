/*
 * The commands that change, run by the real kubectl: what they say beforehand is what the controller then does.
 */
import { expect } from "vitest";
import { readToken } from "../../support/cluster.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest } from "../../support/fixtures.ts";
import { installPlugin } from "../../support/kubectl.ts";
import { issueToken, untilReason } from "../../support/resources.ts";

const test = controllerTest.extend("plugin", { scope: "file" }, async ({ cluster }, { onCleanup }) => {
  const plugin = installPlugin(cluster);
  onCleanup(() => plugin.dispose());
  return plugin;
});

test("create tells the clamping, waits, and the token can be revealed", async ({ cluster, plugin, resources }) => {
  await resources.applyPolicy("short", { maxDuration: "720h", maxTokensPerOwner: 5 });
  const { code, stdout, stderr } = await plugin.run("create", "new", "--scopes", "a,b", "--duration", "1440h");
  expect(stderr).toContain("The maximum is 720h: the token gets 720h instead of 1440h.");
  expect(stderr).toContain(`with the owner ${cluster.namespace}/new.`);
  expect(code).toBe(0);
  expect(stdout.split("\n")[0]).toContain("new is Ready");
  expect((await cluster.get("new"))?.spec).toMatchObject({ scopes: ["a", "b"], duration: "1440h" });

  const revealed = await plugin.run("reveal", "new");
  expect(revealed).toEqual({ code: 0, stdout: readToken(await cluster.getSecret("new")), stderr: "" });
  expect((await plugin.run("reveal", "new", "--key", "none")).stderr).toContain(
    'it has no key "none"; its keys are token',
  );
});

test("create refuses what the policy denies, and creates nothing", async ({ cluster, plugin, resources }) => {
  await resources.applyPolicy("strict", { owners: ["${namespace}/*"], scopes: ["read"] });
  const denied = await plugin.run("create", "denied", "--scopes", "write");
  expect(denied).toMatchObject({ code: 3, stdout: "" });
  expect(denied.stderr).toContain('scope "write" is not among its scopes');
  expect(await cluster.get("denied")).toBeUndefined();

  expect(await plugin.run("can-i", "--scopes", "write")).toMatchObject({
    code: 5,
    stdout: expect.stringMatching(/^no\n/),
  });
  expect(await plugin.run("can-i", "--scopes", "read")).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^yes\n/),
  });
  const invalid = await plugin.run("can-i", "--duration", "soon", "-o", "json");
  expect(JSON.parse(invalid.stdout)).toMatchObject({
    isAllowed: false,
    reasons: [expect.stringContaining("Go duration")],
  });
});

test("create names the ApiToken that would end for it, and asks", async ({ cluster, plugin, resources }) => {
  await resources.applyPolicy("one", { maxTokensPerOwner: 1 });
  await issueToken(cluster, "first", { owner: "single" });
  const asked = await plugin.run("create", "second", "--owner", "single");
  expect(asked).toMatchObject({ code: 2, stdout: "" });
  expect(asked.stderr).toContain(`ends 1 other ApiToken of the owner single for good: ${cluster.namespace}/first.`);
  expect(asked.stderr).toContain("add --yes");
  expect(await cluster.get("second")).toBeUndefined();
  expect((await plugin.run("create", "second", "--owner", "single", "--dry-run")).stdout).toContain("kind: ApiToken");
  expect(await cluster.get("second")).toBeUndefined();
});

test("rotate --wait ends when the Secret holds the next token, and names the previous one's end", async ({
  cluster,
  plugin,
}) => {
  const before = await issueToken(cluster, "rotating", { owner: "rotating" });
  const { code, stdout } = await plugin.run("rotate", "rotating", "--wait");
  expect(code).toBe(0);
  const { status } = (await cluster.get("rotating")) ?? {};
  expect(readToken(await cluster.getSecret("rotating"))).not.toBe(before);
  expect(stdout).toContain(
    `holds the token ${status?.tokenId}; the previous one, ${status?.previous?.tokenId}, works until`,
  );
});

test("rotate --wait ends at once where only a person can help, and says what it waits for elsewhere", async ({
  cluster,
  plugin,
  resources,
}) => {
  await issueToken(cluster, "ended", { owner: "ended", revoked: false });
  await cluster.patch("ended", { revoked: true });
  await untilReason(cluster, "ended", "RevokedBySpec");
  const ended = await plugin.run("rotate", "ended", "--wait", "--timeout", "50s");
  expect(ended).toMatchObject({ code: 5, stdout: expect.stringContaining("not rotated: ") });

  await resources.applyPolicy("patient", { rotation: { minRequestInterval: "10s" } });
  await issueToken(cluster, "eager", { owner: "eager" });
  await plugin.run("rotate", "eager", "--wait");
  const second = await plugin.run("rotate", "eager", "--wait");
  expect(second).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("The rotation that was requested follows at"),
  });
});

test("many are rotated only after they were listed and the user agreed", async ({ cluster, plugin }) => {
  for (const name of ["bulk-1", "bulk-2"]) {
    await issueToken(cluster, name, { owner: name });
    await cluster.kubectl(["label", "apitoken", name, "bulk=yes"]);
  }
  const revisions = async () =>
    Promise.all(["bulk-1", "bulk-2"].map(async (name) => (await cluster.get(name))?.status?.revision));
  expect(await plugin.run("rotate")).toMatchObject({ code: 2 });
  expect(await plugin.run("rotate", "-l", "bulk=yes")).toMatchObject({ code: 2 });
  const dry = await plugin.run("rotate", "-l", "bulk=yes", "--dry-run");
  expect(dry.stdout.trim().split("\n")).toEqual([`${cluster.namespace}/bulk-1`, `${cluster.namespace}/bulk-2`]);
  expect(await revisions()).toEqual([1, 1]);
  const done = await plugin.run("rotate", "-l", "bulk=yes", "--yes", "--wait", "-o", "json");
  expect(done.code).toBe(0);
  expect(JSON.parse(done.stdout).items).toMatchObject([{ state: "Rotated" }, { state: "Rotated" }]);
  expect(await revisions()).toEqual([2, 2]);
});

test("revoke, by the id of a token, is final and has its reason", async ({ cluster, plugin }) => {
  await issueToken(cluster, "leaked", { owner: "leaked" });
  const { tokenId = "" } = (await cluster.get("leaked"))?.status ?? {};
  expect(await plugin.run("revoke", tokenId)).toMatchObject({ code: 2, stdout: "" });
  const { code, stdout } = await plugin.run("revoke", tokenId, "--reason", "found in a log", "--yes");
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${cluster.namespace}/leaked: every token of it is revoked\n` });
  await eventually(async () => expect(await cluster.getSecret("leaked")).toBeUndefined());
  expect((await plugin.run("status", "leaked")).stdout).toContain("found in a log");
});

test("reveal does not show a Secret that belongs to somebody else", async ({ cluster, plugin }) => {
  await cluster.kubectl(["create", "secret", "generic", "theirs", "--from-literal=token=private"]);
  await cluster.apply("conflict", { owner: "conflict", secret: { name: "theirs" } });
  const { code, stdout, stderr } = await plugin.run("reveal", "conflict");
  expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
  expect(stderr).toContain("APITOKEN_E_SECRET_FOREIGN");
  expect(stderr).not.toContain("private");
});

test("a user who may only read learns which right a change needs", async ({ cluster, plugin }) => {
  const user = "reader@example.com";
  await cluster.kubectl(["create", "role", "reader", "--verb=get,list,watch", "--resource=apitokens.apitoken.dev"]);
  await cluster.kubectl(["create", "rolebinding", "reader", "--role=reader", `--user=${user}`]);
  for (const [verb, resource, ...args] of [
    ["create", "apitokens.apitoken.dev", "create", "mine"],
    ["patch", "apitokens.apitoken.dev", "rotate", "rotating"],
    ["patch", "apitokens.apitoken.dev", "revoke", "rotating", "--yes"],
    ["get", "secrets", "reveal", "rotating"],
    ["create", "apitokens.apitoken.dev", "can-i"],
  ]) {
    const { code, stdout, stderr } = await plugin.runAs(user, ...args);
    expect(code, args.join(" ")).toBe(args[0] === "can-i" ? 5 : 1);
    expect(stdout + stderr).toContain(
      `"${user}" lacks the right to ${verb} ${resource} in the namespace ${cluster.namespace}`,
    );
  }
});
