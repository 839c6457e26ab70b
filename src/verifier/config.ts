/*
 * The verifier's settings. The environment is read here and nowhere else.
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
  readEnvironment,
  readLogin,
} from "../runtime/config.ts";
import { isNetwork } from "../token/network.ts";
import type { TlsFiles } from "./server/http-server.ts";

const portSetting = integerSetting(0, 65_535);

const networksSetting = listSetting.superRefine((networks, context) => {
  for (const network of networks.filter((network) => !isNetwork(network))) {
    context.addIssue({
      code: "custom",
      message: `"${network}" is not a network: write it like 10.0.0.0/8 or fd00::/8`,
    });
  }
});

/** The verifier's settings: environment variables. `--help` prints the descriptions; docs/settings.md says more. */
export const verifierEnvironment = z.object({
  ...databaseSettings,
  APITOKEN_KEYRING_FILE: z
    .string({ error: "say where the key keyring.json of the keyring's Secret is mounted" })
    .describe("the file with the keyring: the key keyring.json of its Secret, mounted; read again when it changes"),
  APITOKEN_VERIFIER_PORT: portSetting.prefault("8181").describe("port for gateways: /verify and /token"),
  APITOKEN_VERIFIER_INTROSPECTION_PORT: portSetting
    .prefault("8182")
    .describe("port for backends: /introspect, /tokenreview, /revoke, /leaks and /explain"),
  APITOKEN_VERIFIER_GRPC_PORT: portSetting
    .prefault("8183")
    .describe("port for gateways that ask over gRPC: envoy.service.auth.v3.Authorization/Check"),
  APITOKEN_HTTP_PORT: portSetting.prefault("8080").describe("port of /healthz, /readyz and /metrics"),
  APITOKEN_LOG_LEVEL: logLevelSetting,
  APITOKEN_VERIFIER_CACHE_ROWS: integerSetting(1, 10_000_000)
    .prefault("100000")
    .describe("how many tokens are kept in memory"),
  APITOKEN_VERIFIER_STALE_AFTER_LOSS: durationBetween(200, 60_000)
    .prefault("1s")
    .describe("how old an answer from memory may be; beyond that, each use asks the database"),
  APITOKEN_VERIFIER_OUTAGE: durationBetween(0, 86_400_000)
    .prefault("5m")
    .describe("how long known tokens are served while the database does not answer"),
  APITOKEN_VERIFIER_SNAPSHOT_DIR: z
    .string()
    .optional()
    .describe(
      "a folder of this verifier's own for a sealed copy of its memory, for restarts in an outage (default: none)",
    ),
  APITOKEN_VERIFIER_MAX_AGE: durationBetween(0, 300_000)
    .prefault("0s")
    .describe("how long gateways may keep a good answer (Cache-Control)"),
  APITOKEN_VERIFIER_TRUSTED_PROXIES: networksSetting
    .prefault("")
    .describe("networks of the proxies whose X-Forwarded-For counts, separated by commas (default: none)"),
  APITOKEN_VERIFIER_FAILURES_PER_MINUTE: integerSetting(0, 1_000_000)
    .prefault("100")
    .describe("how many tokens that are none a client may show in a minute, behind trusted proxies; 0: any number"),
  APITOKEN_VERIFIER_BREAK_GLASS_FILE: z
    .string()
    .optional()
    .describe("a file with tokens that work without the database (default: none)"),
  APITOKEN_VERIFIER_LEARNING: durationBetween(0, 30 * 86_400_000)
    .prefault("1h")
    .describe("how long a token is watched before anything about its uses is reported as unusual; 0s: nothing ever is"),
  APITOKEN_VERIFIER_POD_NETWORKS: networksSetting
    .prefault("")
    .describe(
      "networks in which addresses change all the time and are not unusual, separated by commas (default: none)",
    ),
  APITOKEN_VERIFIER_AUDIENCES: listSetting
    .prefault("")
    .describe("audiences that TokenReviews may ask for, separated by commas (default: any)"),
  APITOKEN_VERIFIER_ISSUER: z
    .url({ protocol: /^https?$/, error: "must be an http or https URL" })
    .optional()
    .describe("the URL of the introspection port, for the RFC 8414 document (default: as the request has it)"),
  APITOKEN_VERIFIER_SIGNING_KEY: z
    .string()
    .optional()
    .describe("a file with private keys in PEM, Ed25519 or P-256, for signed answers; the first signs (default: none)"),
  APITOKEN_VERIFIER_TLS_CERT: z
    .string()
    .optional()
    .describe("a file with the certificate chain in PEM (default: no TLS)"),
  APITOKEN_VERIFIER_TLS_KEY: z.string().optional().describe("a file with the certificate's key in PEM"),
  APITOKEN_VERIFIER_DRAIN: durationBetween(0, 300_000)
    .prefault("5s")
    .describe("how long requests are still answered after SIGTERM, until gateways have noticed"),
  APITOKEN_DATABASE_CONNECTIONS: integerSetting(3, 100)
    .prefault("6")
    .describe("maximum number of database connections"),
});

/** The settings as the program uses them. Durations are milliseconds. */
export interface VerifierConfig {
  readonly databaseLogin: ReturnType<typeof readLogin>;
  readonly databaseConnections: number;
  readonly keyringFile: string;
  readonly gatewayPort: number;
  readonly introspectionPort: number;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly logLevel: LogLevel;
  readonly cacheRows: number;
  readonly staleAfterMs: number;
  readonly outageMs: number;
  readonly snapshotFolder: string | undefined;
  readonly maxAgeSeconds: number;
  readonly trustedProxies: readonly string[];
  /** 0: any number. Without trusted proxies no client is known, so that nobody's failures are counted. */
  readonly failuresPerMinute: number;
  readonly breakGlassFile: string | undefined;
  /** How long a token is watched before anything about its uses is unusual; 0: nothing ever is. */
  readonly learningMs: number;
  readonly podNetworks: readonly string[];
  readonly audiences: readonly string[];
  /** Without a slash at its end. */
  readonly issuer: string | undefined;
  /** The keys for signed answers, and who they are from; undefined: nothing is signed. */
  readonly signing: { readonly file: string; readonly issuer: string } | undefined;
  readonly tls: TlsFiles | undefined;
  readonly drainMs: number;
}

/** The verifier's settings from its environment. Throws a ConfigError that names each setting, its fault and the remedy. */
export function readVerifierConfig(environment: NodeJS.ProcessEnv): VerifierConfig {
  const settings = readEnvironment(verifierEnvironment, environment);
  const { APITOKEN_VERIFIER_TLS_CERT: certificate, APITOKEN_VERIFIER_TLS_KEY: key } = settings;
  if ((certificate === undefined) !== (key === undefined)) {
    throw new ConfigError("APITOKEN_VERIFIER_TLS_CERT and APITOKEN_VERIFIER_TLS_KEY go together: set both or neither");
  }
  const issuer = settings.APITOKEN_VERIFIER_ISSUER?.replace(/\/+$/, "");
  const signingKey = settings.APITOKEN_VERIFIER_SIGNING_KEY;
  if (signingKey !== undefined && issuer === undefined) {
    throw new ConfigError(
      "APITOKEN_VERIFIER_SIGNING_KEY needs APITOKEN_VERIFIER_ISSUER: set it to the URL that clients use",
    );
  }
  return {
    databaseLogin: readLogin(settings),
    databaseConnections: settings.APITOKEN_DATABASE_CONNECTIONS,
    keyringFile: settings.APITOKEN_KEYRING_FILE,
    gatewayPort: settings.APITOKEN_VERIFIER_PORT,
    introspectionPort: settings.APITOKEN_VERIFIER_INTROSPECTION_PORT,
    grpcPort: settings.APITOKEN_VERIFIER_GRPC_PORT,
    httpPort: settings.APITOKEN_HTTP_PORT,
    logLevel: settings.APITOKEN_LOG_LEVEL,
    cacheRows: settings.APITOKEN_VERIFIER_CACHE_ROWS,
    staleAfterMs: settings.APITOKEN_VERIFIER_STALE_AFTER_LOSS,
    outageMs: settings.APITOKEN_VERIFIER_OUTAGE,
    snapshotFolder: settings.APITOKEN_VERIFIER_SNAPSHOT_DIR,
    maxAgeSeconds: Math.floor(settings.APITOKEN_VERIFIER_MAX_AGE / 1_000),
    trustedProxies: settings.APITOKEN_VERIFIER_TRUSTED_PROXIES,
    failuresPerMinute:
      settings.APITOKEN_VERIFIER_TRUSTED_PROXIES.length === 0 ? 0 : settings.APITOKEN_VERIFIER_FAILURES_PER_MINUTE,
    breakGlassFile: settings.APITOKEN_VERIFIER_BREAK_GLASS_FILE,
    learningMs: settings.APITOKEN_VERIFIER_LEARNING,
    podNetworks: settings.APITOKEN_VERIFIER_POD_NETWORKS,
    audiences: settings.APITOKEN_VERIFIER_AUDIENCES,
    issuer,
    signing: signingKey === undefined || issuer === undefined ? undefined : { file: signingKey, issuer },
    tls: certificate === undefined || key === undefined ? undefined : { certificate, key },
    drainMs: settings.APITOKEN_VERIFIER_DRAIN,
  };
}
