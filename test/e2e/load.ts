/*
 * Failovers, upgrades and rotations must not be noticed by applications. So a consumer uses its token all the time
 * while the e2e does all of these.
 */
import type { ConsumerReport } from "./consumer.ts";
import { FULLNAME, SYSTEM, TENANT } from "./installation.ts";
import { getJson, until } from "./programs.ts";
import { readReport, startTenantProgram } from "./tenant-pod.ts";

interface Secret {
  readonly data: Record<string, string>;
}

/**
 * Starts the consumer in the tenant's namespace: a pod that mounts the Secret of an ApiToken and uses it constantly.
 * @param image one with Node, such as the controller's
 */
export async function startConsumer(image: string, secretName: string): Promise<void> {
  const keyring = await getJson<Secret>("secret", "apitoken-keyring", "-n", SYSTEM);
  const postgres = await getJson<Secret>("secret", `${FULLNAME}-dev-postgres`, "-n", SYSTEM);
  const env = {
    TOKEN_FILE: "/token/token",
    KEYRING_FILE: "/setup/keyring.json",
    PASSWORD_FILE: "/setup/password",
    DATABASE_URL: `postgres://apitoken@${FULLNAME}-dev-postgres.${SYSTEM}:5432/apitoken?sslmode=disable`,
  };
  const metadata = { name: "consumer", namespace: TENANT };
  const data = { ...keyring.data, password: postgres.data.password };
  const program = { name: "consumer", image, env, secrets: { setup: "consumer", token: secretName } };
  await startTenantProgram(program, [{ apiVersion: "v1", kind: "Secret", metadata, data }]);
  await until("the consumer uses its token", async () => (await readConsumer()).checks > 100);
}

/** The consumer's latest report. */
export const readConsumer = (): Promise<ConsumerReport> => readReport("consumer");
