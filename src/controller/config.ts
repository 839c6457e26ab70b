import { z } from "zod";
import { databaseUrlSetting, durationSetting, integerSetting, listSetting } from "../runtime/config.ts";
import { LOG_LEVELS } from "../runtime/log.ts";

/** The controller's settings: environment variables. The README's table says what each means. */
export const controllerEnvironment = z
  .object({
    DATABASE_URL: databaseUrlSetting,
    KUBECONFIG: z.string().optional(),
    APITOKEN_NAMESPACE: z.string().default("apitoken-system"),
    APITOKEN_WATCH_NAMESPACES: listSetting.default([]),
    APITOKEN_IDENTITY: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,63}$/, "must be 1 to 63 letters, digits, '.', '_' and '-'")
      .optional(),
    APITOKEN_HTTP_PORT: integerSetting(0, 65_535).default(8080),
    APITOKEN_LOG_LEVEL: z.enum(LOG_LEVELS).default("info"),
    APITOKEN_CONCURRENCY: integerSetting(1, 256).default(16),
    APITOKEN_DATABASE_CONNECTIONS: integerSetting(2, 100).default(10),
    APITOKEN_LEASE_NAME: z.string().default("apitoken-controller"),
    APITOKEN_LEASE_DURATION: durationSetting.default(15_000),
    APITOKEN_LEASE_RENEW_DEADLINE: durationSetting.default(10_000),
    APITOKEN_LEASE_RETRY_PERIOD: durationSetting.default(2_000),
    APITOKEN_KEYRING_SECRET: z.string().default("apitoken-keyring"),
  })
  .superRefine((settings, context) => {
    const { APITOKEN_LEASE_DURATION: lease, APITOKEN_LEASE_RENEW_DEADLINE: deadline } = settings;
    if (deadline >= lease) {
      context.addIssue({
        code: "custom",
        path: ["APITOKEN_LEASE_RENEW_DEADLINE"],
        message: "must be shorter than APITOKEN_LEASE_DURATION, or two controllers could lead at once",
      });
    }
    if (settings.APITOKEN_LEASE_RETRY_PERIOD >= deadline) {
      context.addIssue({
        code: "custom",
        path: ["APITOKEN_LEASE_RETRY_PERIOD"],
        message: "must be shorter than APITOKEN_LEASE_RENEW_DEADLINE, or the lease is lost before it is renewed",
      });
    }
  });

export type ControllerConfig = z.infer<typeof controllerEnvironment>;
