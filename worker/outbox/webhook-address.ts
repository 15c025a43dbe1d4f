/**
 * Which addresses an organization may have us call. The Worker must not be led to what only it can reach, so: https and the
 * port of https, a public name with a dot in it, no address in numbers in any spelling, no name and password, nothing that
 * parsers read in two ways. In development also this machine itself.
 *
 * A public name may point to a private address. Nothing here can see that, because a Worker does not resolve names itself:
 * its requests leave from Cloudflare's network, where private addresses lead nowhere. Names that are known to point to
 * whatever stands in them are refused all the same.
 */

const LENGTH_MAX = 1_000;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Ends of names that are no public hosts: special-use names (RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476, and IANA's
 * list of them), and those that inner networks and clouds give to their own.
 */
const PRIVATE_ENDS = [
  "localhost",
  "localdomain",
  "local",
  "internal",
  "intranet",
  "lan",
  "home",
  "corp",
  "mail",
  "private",
  "test",
  "invalid",
  "example",
  "onion",
  "alt",
  "arpa",
  "svc",
  "cluster",
  "consul",
  "workgroup",
  "docker",
  "kube",
  "vpn",
  "router",
  "gateway",
  "fritz.box",
];

/** Names that resolve to the address written in them, or to the caller's own machine. */
const MIRRORS = [
  "nip.io",
  "sslip.io",
  "xip.io",
  "localtest.me",
  "lvh.me",
  "vcap.me",
  "lacolhost.com",
  "localhost.direct",
  "traefik.me",
  "1u.ms",
  "rbndr.us",
];

/** Our own deployment: a webhook that calls it would be a loop. */
const OURS = ["theonemigrate.app"];

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Why this address may not be called, as a sentence; null where it may. */
export function refusalOfAddress(
  text: string,
  { isDevelopment }: { readonly isDevelopment: boolean },
): string | null {
  if (text.length > LENGTH_MAX) return `The address is longer than ${LENGTH_MAX} characters`;
  // Parsers drop line breaks and turn backslashes; what another program reads must be what we read.
  if (!/^[\x21-\x5b\x5d-\x7e]+$/.test(text)) {
    return "The address has characters that do not belong there; write others in their encoded form";
  }
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\/[^/]/i.test(text))
    return "This is not a whole address; begin with https://";
  if (url.username !== "" || url.password !== "" || /^[^/]*\/\/[^/?#]*@/.test(text)) {
    return "The address may not hold a name or a password; deliveries are signed instead";
  }
  if (url.hash !== "" || text.includes("#")) return "Leave out what follows the #";
  if (isDevelopment && LOOPBACK.has(url.hostname)) return null;
  if (url.protocol !== "https:") return "Only https addresses are called";
  if (url.port !== "") return "Only the port of https, 443, is called";
  return refusalOfHost(url.hostname.replace(/\.$/, ""));
}

function refusalOfHost(host: string): string | null {
  if (host.startsWith("[") || /^[\d.]+$/.test(host)) return "Give a name and not an address in numbers";
  const labels = host.split(".");
  if (labels.length < 2) return "Give a whole public name, such as hooks.example.com";
  if (host.length > 253 || !labels.every((label) => LABEL.test(label))) return "This is not a host's name";
  const last = labels.at(-1) ?? "";
  if (!/^([a-z]{2,63}|xn--[a-z0-9-]+)$/.test(last)) return "This is not a public host's name";
  if (PRIVATE_ENDS.some((end) => isBelow(host, end))) return "This name is one of an inner network";
  if (MIRRORS.some((end) => isBelow(host, end))) return "This name leads to whatever is written in it";
  if (OURS.some((end) => isBelow(host, end))) return "This address is our own";
  return null;
}

function isBelow(host: string, end: string): boolean {
  return host === end || host.endsWith(`.${end}`);
}
