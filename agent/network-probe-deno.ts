/** {@link NetworkProbe} over Deno's sockets, and Node's where only those show a certificate that is not trusted. */
import { lookup } from "node:dns";
import net from "node:net";
import tls from "node:tls";
import {
  type Certificate,
  type NetworkProbe,
  ObstacleError,
  type RawAnswer,
  type Target,
} from "./network-probe.ts";
import { type AnswerHead, FramingError, readHead } from "./transport-answer.ts";

const HEAD_BYTES_MAX = 64 * 1024;
const LAST_CHUNK = "0\r\n\r\n";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const denoProbe: NetworkProbe = {
  resolve: (hostname, signal) =>
    untilAborted(
      signal,
      new Promise((resolve, reject) => {
        lookup(hostname, { all: true }, (error, found) => {
          if (error !== null) return reject(new ObstacleError({ step: "name", hostname }));
          resolve(found.map(({ address }) => address));
        });
      }),
    ),
  connect: async (target, signal) => (await open(target, signal)).close(),
  tunnel: async (target, signal) => (await openTunnel(target, signal)).close(),
  secure: async (target, signal) => {
    const secured = await openSecure(target, signal);
    secured.close();
    return await certificateOf(target, signal);
  },
  get: async (target, request, signal) => {
    const connection = target.isTls ? await openSecure(target, signal) : await openTunnel(target, signal);
    const stop = () => closeQuietly(connection);
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await exchange(connection, target, request);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ObstacleError) throw error;
      throw new ObstacleError({ step: "answer", reason: reasonOf(error) });
    } finally {
      signal.removeEventListener("abort", stop);
      closeQuietly(connection);
    }
  },
};

async function open({ hostname, port, proxy }: Target, signal: AbortSignal): Promise<Deno.TcpConn> {
  const end = proxy ?? { hostname, port };
  try {
    return await Deno.connect({ hostname: end.hostname, port: end.port, signal });
  } catch (error) {
    signal.throwIfAborted();
    const { hostname: name, port: number } = end;
    throw new ObstacleError({ step: "connection", hostname: name, port: number, reason: reasonOf(error) });
  }
}

async function openTunnel(target: Target, signal: AbortSignal): Promise<Deno.TcpConn> {
  const connection = await open(target, signal);
  if (target.proxy === null) return connection;
  const stop = () => closeQuietly(connection);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const { status, header } = await ask(connection, connectHead(target));
    if (status >= 200 && status <= 299) return connection;
    const schemes = (header("proxy-authenticate") ?? "")
      .split(",")
      .map((challenge) => challenge.trim().split(" ")[0] ?? "")
      .filter((scheme) => /^[A-Za-z-]+$/.test(scheme));
    throw new ObstacleError({ step: "refused", status, schemes });
  } catch (error) {
    closeQuietly(connection);
    signal.throwIfAborted();
    if (error instanceof ObstacleError) throw error;
    throw new ObstacleError({ step: "answer", reason: reasonOf(error) });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function connectHead({ hostname, port, proxy }: Target): string {
  const place = `${bracketed(hostname)}:${port}`;
  const authorization = proxy?.authorization ?? null;
  const credentials = authorization === null ? "" : `Proxy-Authorization: ${authorization}\r\n`;
  return `CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n${credentials}\r\n`;
}

async function openSecure(target: Target, signal: AbortSignal): Promise<Deno.TlsConn> {
  const connection = await openTunnel(target, signal);
  const stop = () => closeQuietly(connection);
  signal.addEventListener("abort", stop, { once: true });
  try {
    // Trusts what `fetch` trusts.
    const secured = await Deno.startTls(connection, {
      hostname: target.hostname,
      alpnProtocols: ["http/1.1"],
    });
    await secured.handshake();
    return secured;
  } catch (error) {
    closeQuietly(connection);
    signal.throwIfAborted();
    const certificate = await certificateOf(target, signal).catch(() => null);
    throw new ObstacleError({ step: "tls", reason: reasonOf(error), certificate });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** As it is shown, whether anybody trusts it or not: nothing is said over this connection. */
async function certificateOf(target: Target, signal: AbortSignal): Promise<Certificate | null> {
  const end = target.proxy ?? target;
  const socket = net.connect(end.port, end.hostname);
  const stop = () => void socket.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const shown = new Promise<Certificate | null>((resolve, reject) => {
      const begin = () => {
        const servername = net.isIP(target.hostname) === 0 ? { servername: target.hostname } : {};
        const secured = tls.connect({ socket, ...servername, rejectUnauthorized: false }, () =>
          resolve(readCertificate(secured.getPeerCertificate(false))),
        );
        secured.on("error", reject);
      };
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("the connection ended")));
      socket.on("connect", () => {
        if (target.proxy === null) return begin();
        socket.once("data", begin);
        socket.write(connectHead(target));
      });
    });
    return await untilAborted(signal, shown);
  } finally {
    signal.removeEventListener("abort", stop);
    socket.destroy();
  }
}

interface Name {
  readonly CN?: string | string[];
  readonly O?: string | string[];
}

function readCertificate(found: { subject?: Name; issuer?: Name; valid_to?: string }): Certificate | null {
  if (found.subject === undefined) return null;
  return {
    subject: nameOf(found.subject),
    issuer: nameOf(found.issuer ?? {}),
    validTo: found.valid_to ?? "",
  };
}

function nameOf({ CN, O }: Name): string {
  const parts = [CN, O].flatMap((part) => part ?? []).filter((part) => part !== "");
  return [...new Set(parts)].join(", ").slice(0, 200) || "nobody";
}

async function exchange(
  connection: Deno.Conn,
  { hostname, port, isTls }: Target,
  { path, fields }: { readonly path: string; readonly fields: Readonly<Record<string, string>> },
): Promise<RawAnswer> {
  const isUsual = port === (isTls ? 443 : 80);
  const host = isUsual ? bracketed(hostname) : `${bracketed(hostname)}:${port}`;
  const lines = Object.entries({ Host: host, ...fields }).map(([name, value]) => `${name}: ${value}\r\n`);
  return await ask(connection, `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
}

/** Says `head` and reads what comes until the answer's body is whole, the connection ends, or it is enough. */
async function ask(connection: Deno.Conn, head: string): Promise<RawAnswer> {
  const said = encoder.encode(head);
  for (let written = 0; written < said.length;) written += await connection.write(said.subarray(written));
  const bytes = new Uint8Array(HEAD_BYTES_MAX);
  let end = 0;
  for (;;) {
    const read = end === 0 ? null : readHead(bytes, 0, end);
    if (read !== null) {
      const body = bytes.subarray(read.end, end);
      const isWhole =
        read.status < 200 ||
        head.startsWith("CONNECT") ||
        (read.contentLength !== null && body.length >= read.contentLength) ||
        (read.isChunked && decoder.decode(body).endsWith(LAST_CHUNK));
      if (isWhole || end === bytes.length) return answerOf(read, body);
    }
    if (end === bytes.length) throw new FramingError("its head is too long");
    const count = await connection.read(bytes.subarray(end));
    if (count === null) {
      if (read === null) throw new FramingError("the connection ended before an answer came");
      return answerOf(read, bytes.subarray(read.end, end));
    }
    end += count;
  }
}

function answerOf(head: AnswerHead, body: Uint8Array): RawAnswer {
  const fields = new Map<string, string>();
  for (const line of head.text.split("\r\n").slice(1)) {
    const [name = "", ...rest] = line.split(":");
    const value = rest.join(":").trim();
    const before = fields.get(name.toLowerCase());
    fields.set(name.toLowerCase(), before === undefined ? value : `${before}, ${value}`);
  }
  return {
    status: head.status,
    header: (name) => fields.get(name) ?? null,
    body: head.isChunked ? joinChunks(decoder.decode(body)) : decoder.decode(body),
  };
}

/** Of what is a few hundred letters of ASCII; in anything else nobody looks. */
function joinChunks(text: string): string {
  let joined = "";
  for (let at = 0; ;) {
    const end = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, end), 16);
    if (end === -1 || !(size > 0)) return joined;
    joined += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}

function bracketed(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, " ").slice(0, 300);
}

/** Does not wait for what cannot be ended. */
function untilAborted<Value>(signal: AbortSignal, work: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
