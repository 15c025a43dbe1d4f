/**
 * How this machine reaches the network: `network.json` in the state folder, written by somebody at that machine, and the
 * variables of the environment, which win. Without either, connections go out directly.
 *
 *     {
 *       "proxy": "http://name:password@proxy.example:8080",
 *       "noProxy": ["storage.internal", ".lan.example", "10.0.0.0/8"],
 *       "caFile": "/etc/ssl/site-authority.pem"
 *     }
 *
 * Deno reads the variables itself, for `fetch`, WebSockets and TLS; what the file says is handed to it by them, before the
 * first connection. {@link proxyFor} says what Deno (2.9.4) then does, for whoever has to explain it.
 */
import { BlockList, isIP } from "node:net";
import * as z from "zod";
import { ConfigError } from "./config.ts";
import type { Proxy, Target } from "./network-probe.ts";

export const NETWORK_FILE = "network.json";
const EXEMPT_MAX = 1_000;
/** For requests over https; of each pair the first that is set counts, and the first pair of which one is. */
const PROXY_VARIABLES = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"];
const NO_PROXY_VARIABLES = ["NO_PROXY", "no_proxy"];
/** The authorities that Deno brings, and those of this machine, where a site puts its own. */
const CA_STORES = "mozilla,system";

const network = z.strictObject({
  proxy: z
    .string()
    .refine((text) => isProxyAddress(text), {
      error: "give an address such as http://proxy.example:8080, or http://name:password@proxy.example:8080",
    })
    .optional(),
  /** Host names, with what is below them, addresses and networks that are reached directly. */
  noProxy: z
    .array(z.string().regex(/^[^\s,]+$/, { error: "one host name, address or network each" }))
    .max(EXEMPT_MAX)
    .optional(),
  /** PEM; trusted besides the authorities of this machine. */
  caFile: z.string().min(1).optional(),
});
export type NetworkSettings = z.infer<typeof network>;

export type Environment = (name: string) => string | undefined;

/** `text`: the file's, or null when there is none. What is wrong is told without a value: one holds a password. */
export function parseNetwork(text: string | null): NetworkSettings {
  if (text === null) return {};
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    throw new ConfigError(
      `Cannot read ${NETWORK_FILE}: it is not JSON. A backslash in a path is written twice, "C:\\\\folder"`,
    );
  }
  const parsed = network.safeParse(value);
  if (!parsed.success)
    throw new ConfigError(
      `Cannot read ${NETWORK_FILE}: ${z.prettifyError(parsed.error).replaceAll(/\s+/g, " ")}`,
    );
  return parsed.data;
}

/** The variables to be set, so that the file holds where the environment says nothing. */
export function networkVariables(
  { proxy, noProxy, caFile }: NetworkSettings,
  environment: Environment,
): Readonly<Record<string, string>> {
  const isSet = (names: readonly string[]) => names.some((name) => (environment(name) ?? "") !== "");
  return {
    ...(proxy === undefined || isSet(PROXY_VARIABLES) ? {} : { HTTPS_PROXY: proxy }),
    ...(noProxy === undefined || isSet(NO_PROXY_VARIABLES) ? {} : { NO_PROXY: noProxy.join(",") }),
    ...(caFile === undefined || isSet(["DENO_CERT"]) ? {} : { DENO_CERT: caFile }),
    ...(isSet(["DENO_TLS_CA_STORE"]) ? {} : { DENO_TLS_CA_STORE: CA_STORES }),
  };
}

/** The server of an origin, and the way to it. */
export function targetOf(environment: Environment, origin: string): Target {
  const url = new URL(origin);
  const isTls = url.protocol === "https:";
  const hostname = bare(url.hostname);
  return {
    hostname,
    port: Number(url.port === "" ? (isTls ? 443 : 80) : url.port),
    isTls,
    proxy: isTls ? proxyFor(hostname, environment) : null,
  };
}

/** The proxy by which Deno reaches a host over https. */
export function proxyFor(hostname: string, environment: Environment): Proxy | null {
  const text = PROXY_VARIABLES.map(environment).find((value) => value !== undefined && value !== "");
  if (text === undefined || isExempt(hostname, environment)) return null;
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null) return null;
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return {
    hostname: bare(url.hostname),
    port: Number(url.port === "" ? (url.protocol === "https:" ? 443 : 80) : url.port),
    authorization: url.username === "" ? null : `Basic ${new TextEncoder().encode(credentials).toBase64()}`,
  };
}

/** Names match what is below them, case counts, a port never matches, and `*` means every name but no address. */
function isExempt(hostname: string, environment: Environment): boolean {
  const list = NO_PROXY_VARIABLES.map(environment).find((value) => value !== undefined) ?? "";
  const parts = list.split(",").map((part) => part.trim());
  const version = isIP(hostname);
  if (version === 0) {
    return parts.some((part) => {
      const name = part.replace(/^\./, "");
      return part === "*" || (name !== "" && (hostname === name || hostname.endsWith(`.${name}`)));
    });
  }
  const exempt = new BlockList();
  for (const part of parts) {
    const [address = "", bits] = part.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (isIP(address) === 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) continue;
    const bitsMax = family === "ipv6" ? 128 : 32;
    if (Number(bits ?? bitsMax) > bitsMax) continue;
    exempt.addSubnet(address, Number(bits ?? bitsMax), family);
  }
  return exempt.check(hostname, version === 6 ? "ipv6" : "ipv4");
}

function isProxyAddress(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null &&
    url.protocol === "http:" &&
    url.hostname !== "" &&
    url.pathname === "/" &&
    url.search === ""
  );
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}
