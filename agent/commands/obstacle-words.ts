/** What stands between this machine and a server, in words for the person who can take it out of the way. */
import { type Obstacle, ObstacleError, type Target } from "../network-probe.ts";
import { count, shown } from "./plain-text.ts";

export interface FaultWords {
  readonly what: string;
  readonly todo: string;
}

/** `limitMs`: how long it was waited for in vain; null when that was not it. */
export function faultWords(error: unknown, target: Target, limitMs: number | null): FaultWords {
  if (error instanceof ObstacleError) return obstacleWords(error.obstacle, target);
  if (limitMs !== null) {
    return {
      what: `No answer of ${target.hostname} within ${count(Math.ceil(limitMs / 1_000), "second")}`,
      todo: `Ask the firewall team whether packets to ${target.hostname}, port ${target.port}, are dropped on their way, or connections held by something that inspects them`,
    };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return {
    what: shown(reason.slice(0, 300)),
    todo: "Look whether a firewall, a proxy or a virus scanner is in between",
  };
}

export function obstacleWords(obstacle: Obstacle, target: Target): FaultWords {
  const { hostname, port, proxy } = target;
  const place = `${hostname}, port ${port}`;
  const other =
    proxy === null
      ? ". Where the internet is reached by a proxy only, set HTTPS_PROXY=http://<proxy>:<port> for the agent"
      : "";
  switch (obstacle.step) {
    case "name":
      return {
        what: `The name ${obstacle.hostname} is not known here`,
        todo: `Ask the network team: this machine's DNS server has to resolve ${obstacle.hostname}${other}`,
      };
    case "connection":
      return proxy === null
        ? {
            what: `No connection to ${place}: ${obstacle.reason}`,
            todo: `Ask the firewall team: let outbound TCP connections from this machine to ${place}, through${other}`,
          }
        : {
            what: `No connection to the proxy ${obstacle.hostname}:${obstacle.port}: ${obstacle.reason}`,
            todo: "Check HTTPS_PROXY: it names the proxy by which the agent goes out",
          };
    case "refused":
      return proxyWords(obstacle, target);
    case "tls":
      return tlsWords(obstacle, target);
    case "answer":
      return {
        what: `What answers for ${place} does not do as it should: ${obstacle.reason}`,
        todo: `Ask the firewall team what answers in place of ${hostname}`,
      };
  }
}

function proxyWords({ status, schemes }: Extract<Obstacle, { step: "refused" }>, target: Target): FaultWords {
  const proxy = `The proxy ${target.proxy?.hostname}:${target.proxy?.port}`;
  const place = `${target.hostname}:${target.port}`;
  if (status !== 407) {
    return {
      what: `${proxy} refuses connections to ${place} (status ${status})`,
      todo: `Ask the proxy team: allow CONNECT to ${place} for this machine`,
    };
  }
  const offered = schemes.length === 0 ? "" : `; it takes ${schemes.join(", ")}`;
  const isBasic = schemes.some((scheme) => scheme.toLowerCase() === "basic");
  const hadNone = target.proxy?.authorization === null;
  const what = `${proxy} ${hadNone ? "asks for a name and password" : "does not accept the name and password"} (status 407${offered})`;
  if (schemes.length > 0 && !isBasic) {
    return {
      what,
      todo: `The agent signs in to proxies with Basic only. Ask the proxy team: let this machine to ${place} without signing in, or allow Basic`,
    };
  }
  return {
    what,
    todo: "Set HTTPS_PROXY=http://<name>:<password>@<proxy>:<port> for the agent, or ask the proxy team to let this machine through without signing in",
  };
}

function tlsWords(
  { reason, certificate }: Extract<Obstacle, { step: "tls" }>,
  { hostname }: Target,
): FaultWords {
  const holder =
    certificate === null
      ? ""
      : `: made out to ${shown(certificate.subject)}, issued by ${shown(certificate.issuer)}`;
  if (/Expired|NotValidYet|not valid (yet|after|before)|expired/i.test(reason)) {
    return {
      what: `${hostname} shows a certificate that is not valid now${holder}`,
      todo: "Check the date of this machine; if it is right, ask the firewall team who answers for this host",
    };
  }
  if (/not valid for name|NotValidForName/i.test(reason)) {
    return {
      what: `${hostname} shows a certificate for other names${holder}`,
      todo: `Somebody else answers: a sign-in page of the network, or a filter. Sign in to the network, or ask the firewall team to let ${hostname} through untouched`,
    };
  }
  if (/certificate|UnknownIssuer|CaUsedAsEndEntity/i.test(reason)) {
    return {
      what: `${hostname} shows a certificate that this machine does not trust${holder}`,
      todo:
        `Something on the way (a firewall, a proxy, a virus scanner) opens TLS connections. Ask the firewall team: exempt ${hostname} from TLS inspection. ` +
        "Or let the agent trust that issuer: put its certificate into this machine's own store, or name it as a PEM file in DENO_CERT, or as caFile in network.json",
    };
  }
  return {
    what: `No agreement on TLS with ${hostname}: ${reason}`,
    todo: `Ask the firewall team: let TLS 1.2 and 1.3 to ${hostname} through untouched`,
  };
}

/** An answer that is not the one of whom was asked. Nothing of it is taken for data. */
export function strangerWords(
  {
    status,
    location,
    page,
  }: { readonly status: number; readonly location: string | null; readonly page: string },
  hostname: string,
): FaultWords {
  const host = location === null ? null : (URL.parse(location)?.host ?? null);
  const title = /<title[^>]*>([^<]{1,200})/i.exec(page)?.[1]?.trim();
  const seen = [
    `status ${status}`,
    ...(host === null || host === "" ? [] : [`leads to ${shown(host)}`]),
    ...(title === undefined || title === "" ? [] : [`a page called ${shown(title.slice(0, 100))}`]),
  ];
  if (status === 407) {
    return {
      what: "A proxy asks for a name and password (status 407)",
      todo: "Set HTTPS_PROXY=http://<name>:<password>@<proxy>:<port> for the agent",
    };
  }
  return {
    what: `Something else answers in place of ${hostname}: ${seen.join(", ")}`,
    todo: `Open https://${hostname} in a browser on this machine: a sign-in page of the network, or a page of a filter, may show. Sign in, or ask the firewall team to let ${hostname} through untouched`,
  };
}

export function durationWords(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return count(minutes, "minute");
  const hours = Math.round(minutes / 60);
  return hours < 48 ? count(hours, "hour") : count(Math.round(hours / 24), "day");
}
