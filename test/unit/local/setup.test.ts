import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { findPromtool, provideAlertTools } from "../../../local/setup/alert-tools.mjs";
import { controlPlaneFolder, findAssets, readAssets } from "../../../local/setup/assets.mjs";
import { fillFolder, findRelease, provideControlPlane } from "../../../local/setup/control-plane.mjs";
import { useSetUpHome } from "../../support/set-up-home.ts";

const place = useSetUpHome();

/** Creates programs in a folder, as a download or a build would. */
function fill(folder: string, names: readonly string[] = ["kube-apiserver", "etcd", "kubectl"]): void {
  mkdirSync(folder, { recursive: true });
  for (const name of names) {
    writeFileSync(join(folder, name), "#!/bin/sh\n");
    chmodSync(join(folder, name), 0o755);
  }
}

const works = async (folder: string) => fill(folder);
const fails = (message: string) => () => Promise.reject(new Error(message));

describe("the control plane comes from", () => {
  test("KUBEBUILDER_ASSETS, if it is set", async () => {
    const given = join(place.home, "given");
    fill(given);
    const sources = {
      environment: { ...place.environment, KUBEBUILDER_ASSETS: given },
      download: fails("no"),
      build: fails("no"),
    };
    expect(await provideControlPlane(sources)).toBe(given);
    expect(findAssets(sources.environment).kubectl).toBe(join(given, "kubectl"));
  });

  test("the next source, with a message, if that folder is incomplete", async () => {
    const given = join(place.home, "given");
    fill(given, ["etcd"]);
    const folder = await provideControlPlane({
      environment: { ...place.environment, KUBEBUILDER_ASSETS: given },
      download: works,
    });
    expect(folder).toBe(controlPlaneFolder(place.environment));
    expect(place.said.join("")).toContain("lacks one of kube-apiserver, etcd, kubectl");
  });

  test("the cache, without a download", async () => {
    fill(controlPlaneFolder(place.environment));
    expect(
      await provideControlPlane({ environment: place.environment, download: fails("no"), build: fails("no") }),
    ).toBeTruthy();
    expect(place.said).toEqual([]);
  });

  test("the archive or, with the reason, the build", async () => {
    await provideControlPlane({ environment: place.environment, download: fails("unreachable"), build: works });
    expect(place.said.join("")).toContain("the envtest archive failed: unreachable");
    expect(readAssets(controlPlaneFolder(place.environment))).toBeDefined();
  });

  test("nowhere: the error explains what to install", async () => {
    const all = provideControlPlane({
      environment: place.environment,
      download: fails("unreachable"),
      build: fails("Go is not installed"),
    });
    await expect(all).rejects.toThrow(/Go is not installed[\s\S]*install Go 1\.26[\s\S]*KUBEBUILDER_ASSETS/);
    expect(existsSync(controlPlaneFolder(place.environment))).toBe(false);
  });
});

describe("a set-up that is interrupted", () => {
  test("leaves nothing that looks finished", async () => {
    const folder = controlPlaneFolder(place.environment);
    await expect(
      fillFolder(folder, async (temporary: string) => {
        fill(temporary, ["etcd"]);
        throw new Error("killed");
      }),
    ).rejects.toThrow("killed");
    expect(readdirSync(dirname(folder))).toEqual([]);
  });

  test("after a download that lacks a program names the programs", async () => {
    const incomplete = fillFolder(controlPlaneFolder(place.environment), async (temporary) =>
      fill(temporary, ["etcd"]),
    );
    await expect(incomplete).rejects.toThrow("one of kube-apiserver, etcd, kubectl is missing from it");
  });

  test("by kill -9 leaves a temporary folder, and the next one succeeds", async () => {
    const folder = controlPlaneFolder(place.environment);
    fill(`${folder}.tmp-dead`, ["etcd"]);
    expect(readAssets(folder)).toBeUndefined();
    await provideControlPlane({ environment: place.environment, download: works });
    expect(readAssets(folder)).toBeDefined();
  });

  test("while another one finishes uses that one's result", async () => {
    const folder = controlPlaneFolder(place.environment);
    await fillFolder(folder, async (temporary: string) => {
      fill(folder, ["kube-apiserver", "etcd", "kubectl", "kube-controller-manager"]);
      fill(temporary);
    });
    expect(readAssets(folder)).toHaveProperty("kube-controller-manager");
  });
});

describe("an optional program of the tests", () => {
  test("is built once, or taken from the environment", async () => {
    await provideAlertTools({ environment: place.environment, build: async (folder) => fill(folder, ["promtool"]) });
    expect(findPromtool(place.environment)).toMatch(/promtool\/[0-9a-f]{16}\/promtool$/);
    await provideAlertTools({ environment: place.environment, build: fails("it is there already") });
    fill(place.home, ["promtool"]);
    const given = join(place.home, "promtool");
    expect(findPromtool({ ...place.environment, PROMTOOL: given })).toBe(given);
  });

  test("that cannot be built is reported, and leaves nothing behind", async () => {
    await provideAlertTools({ environment: place.environment, build: fails("Go is not installed") });
    expect(place.said.join("")).toContain("without promtool the alerts' tests are skipped: Go is not installed");
    expect(findPromtool(place.environment)).toBeUndefined();
    expect(readdirSync(join(place.home, "apitoken-operator/promtool"))).toEqual([]);
  });
});

describe("the index of envtest's releases", () => {
  const hash = (digit: string) => digit.repeat(128);
  const release = (version: string, digit: string) => `  ${version}:
    envtest-${version}-darwin-arm64.tar.gz:
      hash: ${hash("f")}
      selfLink: https://example.com/${version}-darwin
    envtest-${version}-linux-amd64.tar.gz:
      hash: ${hash(digit)}
      selfLink: https://example.com/${version}-linux
`;

  test("yields the newest patch of our minor version for the platform, with its checksum", () => {
    const index = `releases:\n${release("v1.35.9", "1")}${release("v1.36.9", "2")}${release("v1.36.10", "3")}`;
    expect(findRelease(index, "linux-amd64")).toEqual({ url: "https://example.com/v1.36.10-linux", sha512: hash("3") });
  });

  test("without our minor version is an error that says so", () => {
    expect(() => findRelease(release("v1.35.9", "1"), "linux-amd64")).toThrow(/no release/);
  });
});

test("the set-up runs on Node 20 and later: plain JavaScript, no dependencies", () => {
  const script = fileURLToPath(new URL("../../../local/setup.mjs", import.meta.url));
  const result = spawnSync(process.execPath, ["--check", script], { encoding: "utf8" });
  expect(result.stderr).toBe("");
});
