/*
 * The verifier's certificate, which somebody replaces while it runs.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { issueByHand, startTestVerifier } from "../../support/verifier.ts";

const keyring = createKeyring();
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

/** Makes a certificate and its key: the files NAME.crt and NAME.key. Returns the certificate. */
function makeCertificate(folder: string, name: string): string {
  const [crt, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const { status, stderr } = spawnSync("openssl", ["req", ...kind, ...subject, "-out", crt, "-keyout", key]);
  if (status !== 0) throw new Error(String(stderr));
  return readFileSync(crt, "utf8");
}

/** The status of a request on a connection of its own, from a client that trusts this certificate alone. Rejects if it must not. */
function ask(port: number, token: string, ca: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const options = { host: "127.0.0.1", servername: "localhost", port, path: "/verify", headers, ca, agent: false };
    const asked = request(options, (response) => resolve(response.resume().statusCode));
    asked.once("error", reject).end();
  });
}

test("openssl is available in CI", () => {
  if (process.env.CI === "true") expect(hasOpenssl).toBe(true);
});

test.skipIf(!hasOpenssl)(
  "a new certificate counts without a restart, and a broken one leaves the last in place",
  async ({ onTestFinished }) => {
    const folder = mkdtempSync(join(tmpdir(), "apitoken-tls-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const url = await createTestDatabase();
    const { plaintext } = await issueByHand(url, keyring);
    const [first, second] = [makeCertificate(folder, "first"), makeCertificate(folder, "second")];
    const mount = (name: string) => {
      for (const type of ["crt", "key"]) copyFileSync(join(folder, `${name}.${type}`), join(folder, `tls.${type}`));
    };
    mount("first");
    const verifier = await startTestVerifier({
      url,
      keyring,
      settings: {
        APITOKEN_VERIFIER_TLS_CERT: join(folder, "tls.crt"),
        APITOKEN_VERIFIER_TLS_KEY: join(folder, "tls.key"),
      },
    });
    onTestFinished(() => verifier.stop());
    await verifier.ready;
    expect(await ask(verifier.gatewayPort, plaintext, first)).toBe(200);
    await expect(ask(verifier.gatewayPort, plaintext, second)).rejects.toThrow("certificate");
    await expect(fetch(`${verifier.gatewayUrl}/verify`)).rejects.toThrow(); // plain HTTP gets no answer

    mount("second");
    await eventually(async () => expect(await ask(verifier.gatewayPort, plaintext, second)).toBe(200));
    expect(await ask(verifier.introspectionPort, plaintext, second)).toBe(404); // it has no /verify

    writeFileSync(join(folder, "tls.key"), readFileSync(join(folder, "first.key")));
    await eventually(() => expect(verifier.log.join()).toContain("the certificate cannot be used"));
    expect(await ask(verifier.gatewayPort, plaintext, second)).toBe(200);
  },
);
