/*
 * The controller's settings. The environment is read here and nowhere else: the rest of the program sees named fields
 * that say their unit.
 */
import { z } from "zod";
import {
  ConfigError,
  databaseSettings,
  durationBetween,
  integerSetting,
  type LogLevel,
  listSetting,
  logLevelSetting,
  oneOf,
  readEnvironment,
  readLogin,
  tokenPrefixSetting,
} from "../runtime/config.ts";
import type { HashMethod } from "../runtime/token-hash.ts";
import { DEFAULT_DENIED_KEYS, type DeniedKeys } from "../token/denied-keys.ts";
import { formatDuration } from "../token/duration.ts";
import { DEFAULT_PREFIX } from "../token/token-string.ts";

/** Which Secret holds the keyring. */
export interface KeyringPlace {
  readonly namespace: string;
  readonly name: string;
}

/** Names of Kubernetes objects. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const LABEL_RULE = "must be 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends";

const namespaceSetting = z.string().regex(LABEL, LABEL_RULE);
const objectNameSetting = z
  .string()
  .regex(
    SUBDOMAIN,
    "must be 1 to 253 lower-case letters, digits, '-' and '.', each part with a letter or digit at both ends",
  );

/** A list without a name is a mistake: it must not mean all namespaces. */
const namespacesSetting = listSetting
  .refine((names) => names.length > 0, "names no namespace; leave it out to watch all namespaces")
  .superRefine((names, context) => {
    for (const name of names.filter((name) => !LABEL.test(name))) {
      context.addIssue({ code: "custom", message: `"${name}" is not a namespace: it ${LABEL_RULE}` });
    }
  })
  .transform((names) => [...new Set(names)]);

const DENIED_KEY = /^((label|annotation|data):)?[A-Za-z0-9*._/-]+(=[A-Za-z0-9._-]+)?$/;

/** "default" stands for the built-in list, so that it can be extended without being repeated; "none" for an empty one. */
const deniedKeysSetting = listSetting
  .superRefine((entries, context) => {
    for (const entry of entries.filter((entry) => !DENIED_KEY.test(entry))) {
      const message = `"${entry}" is not a key: write it like example.com/*, label:team or data:config.json`;
      context.addIssue({ code: "custom", message });
    }
  })
  .transform((entries) =>
    entries.flatMap((entry) => (entry === "default" ? DEFAULT_DENIED_KEYS : entry === "none" ? [] : [entry])),
  );

/** A shorter time would be a busy loop, and a longer one would leave the cluster without a leader. */
const leaseTimeSetting = durationBetween(1_000, 3_600_000);

/** The controller's settings: environment variables. `--help` prints the descriptions; docs/settings.md says more. */
export const controllerEnvironment = z.object({
  ...databaseSettings,
  KUBECONFIG: z
    .string()
    .optional()
    .describe("a kubeconfig file (default: ~/.kube/config if it exists, otherwise the pod's service account)"),
  APITOKEN_NAMESPACE: namespaceSetting
    .default("apitoken-system")
    .describe("the namespace of the keyring's Secret and of the Lease"),
  APITOKEN_WATCH_NAMESPACES: namespacesSetting
    .default([])
    .describe("watch only these namespaces, separated by commas (default: all)"),
  APITOKEN_IDENTITY: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,63}$/, "must be 1 to 63 letters, digits, '.', '_' and '-'")
    .optional()
    .describe("this replica's name in the Lease and the audit trail (default: host name and a random part)"),
  APITOKEN_HTTP_PORT: integerSetting(0, 65_535).prefault("8080").describe("port of /healthz, /readyz and /metrics"),
  APITOKEN_LOG_LEVEL: logLevelSetting,
  APITOKEN_CONCURRENCY: integerSetting(1, 256)
    .prefault("16")
    .describe("how many ApiTokens are reconciled at once, plus a quarter for ends"),
  APITOKEN_DATABASE_CONNECTIONS: integerSetting(2, 100)
    .prefault("10")
    .describe("maximum number of database connections"),
  APITOKEN_LEASE_NAME: objectNameSetting.default("apitoken-controller").describe("name of the Lease"),
  APITOKEN_LEASE_DURATION: leaseTimeSetting
    .prefault("15s")
    .describe("how long a Lease that is not renewed keeps other replicas from taking over"),
  APITOKEN_LEASE_RENEW_DEADLINE: leaseTimeSetting
    .prefault("10s")
    .describe("how long the leader tries to renew the Lease before it stops leading"),
  APITOKEN_LEASE_RETRY_PERIOD: durationBetween(100, 3_600_000)
    .prefault("2s")
    .describe("time between attempts to take or renew the Lease"),
  APITOKEN_KEYRING_SECRET: objectNameSetting.default("apitoken-keyring").describe("name of the keyring's Secret"),
  APITOKEN_KEYRING_RELOAD: durationBetween(100, 3_600_000)
    .prefault("30s")
    .describe("how often the keyring is read again"),
  APITOKEN_DENIED_SECRET_KEYS: deniedKeysSetting
    .prefault("default")
    .describe("labels and annotations that an ApiToken may not set on its Secret (default: those that others act on)"),
  APITOKEN_PREFIX: tokenPrefixSetting
    .default(DEFAULT_PREFIX)
    .describe("what new tokens begin with, before an underscore; tokens with another prefix stay as they are"),
  APITOKEN_HASH: oneOf(["hmac-sha256", "bcrypt"])
    .default("hmac-sha256")
    .describe("how tokens are hashed: hmac-sha256 or bcrypt"),
  APITOKEN_BCRYPT_ROUNDS: integerSetting(10, 14)
    .prefault("12")
    .describe("base-2 logarithm of bcrypt's rounds: 10 to 14"),
});

/** The settings as the program uses them. Durations are milliseconds. */
export interface ControllerConfig {
  readonly databaseLogin: ReturnType<typeof readLogin>;
  readonly databaseConnections: number;
  /** Undefined: ~/.kube/config, or the service account of the pod. */
  readonly kubeconfigPath: string | undefined;
  /** The namespaces whose ApiTokens and Secrets are watched; all, if empty. */
  readonly watchedNamespaces: readonly string[];
  /** Undefined: a random name. */
  readonly identity: string | undefined;
  readonly httpPort: number;
  readonly logLevel: LogLevel;
  readonly concurrency: number;
  readonly keyringPlace: KeyringPlace;
  readonly keyringReloadMs: number;
  /** Which labels, annotations and keys an ApiToken may not set on its Secret. */
  readonly deniedKeys: DeniedKeys;
  /** What new tokens begin with. */
  readonly tokenPrefix: string;
  /** How new rows hash their tokens. */
  readonly hashMethod: HashMethod;
  readonly lease: LeaseSettings;
}

/** Which Lease the leader holds, and how long it may go without renewing it. */
export interface LeaseSettings {
  readonly namespace: string;
  readonly name: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

type ControllerSettings = z.infer<typeof controllerEnvironment>;

/** The settings that the commands on the keyring need to find it. */
export const keyringEnvironment = controllerEnvironment.pick({
  KUBECONFIG: true,
  APITOKEN_NAMESPACE: true,
  APITOKEN_KEYRING_SECRET: true,
});

/** Each of the lease's times must be longer than the next one. */
const LEASE_ORDER = [
  ["APITOKEN_LEASE_DURATION", "APITOKEN_LEASE_RENEW_DEADLINE", "two controllers could lead at once"],
  ["APITOKEN_LEASE_RENEW_DEADLINE", "APITOKEN_LEASE_RETRY_PERIOD", "the lease would be lost before it is renewed"],
] as const;

/** The controller's settings from its environment. Throws a ConfigError that names each setting, its fault and the remedy. */
export function readControllerConfig(environment: NodeJS.ProcessEnv): ControllerConfig {
  const settings = readEnvironment(controllerEnvironment, environment);
  requireLeaseOrder(settings, environment);
  return {
    databaseLogin: readLogin(settings),
    databaseConnections: settings.APITOKEN_DATABASE_CONNECTIONS,
    kubeconfigPath: settings.KUBECONFIG,
    watchedNamespaces: settings.APITOKEN_WATCH_NAMESPACES,
    identity: settings.APITOKEN_IDENTITY,
    httpPort: settings.APITOKEN_HTTP_PORT,
    logLevel: settings.APITOKEN_LOG_LEVEL,
    concurrency: settings.APITOKEN_CONCURRENCY,
    keyringPlace: keyringPlace(settings),
    keyringReloadMs: settings.APITOKEN_KEYRING_RELOAD,
    deniedKeys: settings.APITOKEN_DENIED_SECRET_KEYS,
    tokenPrefix: settings.APITOKEN_PREFIX,
    hashMethod: hashMethod(settings),
    lease: {
      namespace: settings.APITOKEN_NAMESPACE,
      name: settings.APITOKEN_LEASE_NAME,
      leaseDurationMs: settings.APITOKEN_LEASE_DURATION,
      renewDeadlineMs: settings.APITOKEN_LEASE_RENEW_DEADLINE,
      retryPeriodMs: settings.APITOKEN_LEASE_RETRY_PERIOD,
    },
  };
}

/** Throws a ConfigError that names both settings, and says which were left at their default. */
function requireLeaseOrder(settings: ControllerSettings, environment: NodeJS.ProcessEnv): void {
  const faults = LEASE_ORDER.filter(([longer, shorter]) => settings[longer] <= settings[shorter]).map(
    ([longer, shorter, danger]) => {
      const unset = [longer, shorter].filter((name) => !environment[name]);
      const describe = (name: typeof longer | typeof shorter) =>
        environment[name] ? `${name}=${environment[name]}` : `the default ${formatDuration(settings[name])} of ${name}`;
      const remedy = unset.length === 0 ? "" : `; set ${unset.join(", ")} too`;
      return `${describe(longer)} is not longer than ${describe(shorter)}, so ${danger}${remedy}`;
    },
  );
  if (faults.length > 0) throw new ConfigError(faults.join("\n"));
}

/** The part of the settings that says where the keyring is. Throws a ConfigError like `readControllerConfig`. */
export function readKeyringConfig(
  environment: NodeJS.ProcessEnv,
): Pick<ControllerConfig, "kubeconfigPath" | "keyringPlace"> {
  const settings = readEnvironment(keyringEnvironment, environment);
  return { kubeconfigPath: settings.KUBECONFIG, keyringPlace: keyringPlace(settings) };
}

function keyringPlace(settings: z.infer<typeof keyringEnvironment>): KeyringPlace {
  return { namespace: settings.APITOKEN_NAMESPACE, name: settings.APITOKEN_KEYRING_SECRET };
}

function hashMethod({ APITOKEN_HASH, APITOKEN_BCRYPT_ROUNDS }: ControllerSettings): HashMethod {
  return APITOKEN_HASH === "bcrypt"
    ? { algorithm: "bcrypt", rounds: APITOKEN_BCRYPT_ROUNDS }
    : { algorithm: APITOKEN_HASH };
}
