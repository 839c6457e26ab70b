/*
 * `list -w`, run by the real kubectl: what the controller does with ApiTokens is seen as it happens.
 */
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { controllerTest } from "../../support/fixtures.ts";
import { installPlugin } from "../../support/kubectl.ts";
import { issueToken } from "../../support/resources.ts";

const test = controllerTest.extend("plugin", { scope: "file" }, async ({ cluster }, { onCleanup }) => {
  const plugin = installPlugin(cluster);
  onCleanup(() => plugin.dispose());
  return plugin;
});

test("rows follow as ApiTokens change, and Ctrl-C ends it cleanly", async ({ cluster, plugin }) => {
  const watch = plugin.start("list", "-w");
  const rows = () => watch.output.stdout.trimEnd().split("\n").slice(1);
  await eventually(() => expect(watch.output.stderr).toContain("No ApiTokens were found"));
  await issueToken(cluster, "seen", { owner: "seen" });
  await eventually(() => expect(rows().at(-1)).toMatch(/^seen +True +seen +Issued +in 29d/));
  await cluster.patch("seen", { revoked: true });
  await eventually(() => expect(rows().at(-1)).toMatch(/^seen +False +seen +RevokedBySpec/));
  await cluster.kubectl(["delete", "apitoken", "seen"]);
  await eventually(() => expect(rows().at(-1)).toMatch(/^seen .*\(deleted\)$/));
  const { code, stdout, stderr } = await watch.interrupt();
  expect({ code, titles: stdout.match(/^NAME/gm) }).toEqual({ code: 0, titles: ["NAME"] });
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("with a filter, the change with which an ApiToken stops to pass is seen as well", async ({ cluster, plugin }) => {
  await issueToken(cluster, "other", { owner: "other" });
  const watch = plugin.start("list", "-w", "--not-ready", "-o", "json");
  const items = () => watch.output.stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
  await eventually(() => expect(watch.output.stderr).toContain("passes"));
  await issueToken(cluster, "late", { owner: "late" });
  await eventually(() => expect(items().at(-1)).toMatchObject({ name: "late", ready: true, reason: "Issued" }));
  await cluster.kubectl(["annotate", "apitoken", "other", "a=b"]);
  await cluster.patch("other", { revoked: true });
  await eventually(() => expect(items().at(-1)).toMatchObject({ name: "other", reason: "RevokedBySpec" }));
  expect(items().filter(({ name, ready }) => name === "other" && ready)).toEqual([]);
  expect(await watch.interrupt()).toMatchObject({ code: 0 });
});
