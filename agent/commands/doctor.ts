/**
 * Looks at everything the agent needs of its machine and its network, one check after the other, and says of each what is
 * wrong and what to do. Hides in which order things are tried; promises that every check ends, that no check changes
 * anything or disturbs an agent that runs, and that only the control plane's own answers are believed.
 */
import { errorBody } from "../../schema/errors.ts";
import { health } from "../../schema/health.ts";
import { HEARTBEAT, HEARTBEAT_ANSWER, SUBPROTOCOL, syncAnswer } from "../../schema/protocol.ts";
import { type NetworkProbe, ObstacleError, type Target } from "../network-probe.ts";
import { targetOf } from "../network-settings.ts";
import { ConnectError, DiskError, type Platform } from "../platform.ts";
import { TransportError } from "../transport.ts";
import { durationWords, faultWords, obstacleWords, strangerWords } from "./obstacle-words.ts";
import { count, shown, size } from "./plain-text.ts";

export const CHECK_LIMIT_MS = 10_000;
/** Signatures for storage begin a quarter of an hour back; what is off by less troubles nobody. */
const SKEW_MS_WARNED = 2 * 60_000;
const SKEW_MS_MAX = 24 * 3_600_000;
/** Written and removed again: no right that the agent has tells what is free. */
const SPACE_BYTES = 32 * 1024 * 1024;
const PIECE_BYTES = 4 * 1024 * 1024;
const ANSWER_CHARACTERS_MAX = 256 * 1024;
/** Said where no account is known yet. */
const STORAGE_UNKNOWN = "https://your-storage-account.blob.core.windows.net";

export type CheckState = "ok" | "warning" | "failed" | "skipped";

export interface Check {
  readonly id: string;
  readonly title: string;
  readonly state: CheckState;
  readonly what: string;
  /** Null where there is nothing to do. */
  readonly todo: string | null;
}

export interface Diagnosis {
  readonly result: "ok" | "warning" | "failed";
  readonly url: string;
  readonly checks: readonly Check[];
  /** What this machine has to be let out to, as a firewall is told. */
  readonly needs: readonly string[];
}

export interface DoctorInput {
  readonly platform: Platform;
  readonly probe: NetworkProbe;
  readonly environment: (name: string) => string | undefined;
  readonly version: string;
  /** The state folder, as given or as the system has it. */
  readonly folder: string;
  readonly url: string;
  /** `key` is null where it is not for this address. */
  readonly registration:
    | { readonly kind: "none" }
    | { readonly kind: "unreadable"; readonly message: string }
    | { readonly kind: "registered"; readonly key: string | null };
  /** An agent runs with this folder. */
  readonly isRunning: boolean;
  /** Folders that are, or may be, sources. */
  readonly roots: readonly string[];
  /** Origins of storage accounts. */
  readonly storage: readonly string[];
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** What a check found, when it found something out. */
type Found = Pick<Check, "state" | "what" | "todo">;

const ok = (what: string): Found => ({ state: "ok", what, todo: null });
const warning = (what: string, todo: string): Found => ({ state: "warning", what, todo });
const failed = (what: string, todo: string): Found => ({ state: "failed", what, todo });
const skipped = (what: string): Found => ({ state: "skipped", what, todo: null });

export async function diagnose(input: DoctorInput): Promise<Diagnosis> {
  const doctor = new Doctor(input);
  await doctor.run();
  const states = doctor.checks.map(({ state }) => state);
  const result = states.includes("failed") ? "failed" : states.includes("warning") ? "warning" : "ok";
  return { result, url: input.url, checks: doctor.checks, needs: needsOf(input) };
}

class Doctor {
  readonly checks: Check[] = [];
  readonly #input: DoctorInput;
  readonly #hub: Target;
  /** Of this machine's clock, against the control plane's; null until that was heard. */
  #skewMs: number | null = null;

  constructor(input: DoctorInput) {
    this.#input = input;
    this.#hub = targetOf(input.environment, input.url);
  }

  async run(): Promise<void> {
    await this.#check("version", "Agent", () => ok(this.#input.version));
    await this.#check("state", "State folder", () => this.#state());
    await this.#check("registration", "Registration", () => this.#registration());
    for (const root of this.#input.roots)
      await this.#check("root", `Source ${shown(root)}`, () => this.#root(root));
    const isReached = await this.#way();
    const isHub = isReached && (await this.#check("hub", "Control plane", (stop) => this.#health(stop)));
    if (isHub) {
      await this.#check("clock", "Clock", () => this.#clock());
      const isPolled = await this.#check("longPoll", "HTTPS requests", (stop) => this.#longPoll(stop));
      await this.#check("webSocket", "WebSocket", (stop) => this.#webSocket(stop, isPolled), {
        late: () => this.#noSocket("nothing comes by one", isPolled),
      });
    } else {
      const why = "the control plane was not reached";
      if (!isReached) this.#skip("hub", "Control plane", "it was not reached");
      this.#skip("clock", "Clock", why);
      this.#skip("longPoll", "HTTPS requests", why);
      this.#skip("webSocket", "WebSocket", why);
    }
    for (const origin of this.#input.storage) {
      const target = targetOf(this.#input.environment, origin);
      const title = `Storage ${target.hostname}`;
      await this.#check("storage", title, (stop) => this.#storage(origin, target, stop), { target });
    }
    if (this.#input.storage.length === 0)
      this.#skip("storage", "Storage", "no storage account is known yet; name one with --storage <address>");
  }

  // --- this machine ------------------------------------------------------------------------------------------------

  #state(): Found {
    const { platform, folder } = this.#input;
    const { disk } = platform;
    const todo = `Let this account write there, or give another folder with --state <folder>`;
    try {
      if (disk.stat(disk.realPath(folder)).kind !== "folder")
        return failed(`${shown(folder)} is not a folder`, todo);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (error.code !== "not_found") return failed(error.message, todo);
      return this.#input.registration.kind === "none"
        ? skipped(`${shown(folder)} is made when this machine is registered`)
        : failed(`${shown(folder)} is not there`, todo);
    }
    return this.#space(`${folder}${disk.separator}doctor.tmp`);
  }

  #space(path: string): Found {
    const { disk, changes } = this.#input.platform;
    let written = 0;
    try {
      const file = disk.create(path);
      try {
        const piece = new Uint8Array(PIECE_BYTES).fill(0x2e);
        for (; written < SPACE_BYTES; written += PIECE_BYTES) file.write(piece);
      } finally {
        file.finish();
        changes.removeFile(path);
      }
      return ok(
        `${shown(this.#input.folder)} can be written, and has room for ${size(SPACE_BYTES)} and more`,
      );
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (error.code !== "no_space")
        return failed(
          error.message,
          "Let this account write there, or give another folder with --state <folder>",
        );
      const what = `The disk of ${shown(this.#input.folder)} is full: only ${size(written)} could be written`;
      return failed(what, "Make room on that disk, or give a folder on another one with --state <folder>");
    }
  }

  #registration(): Found {
    const { registration, isRunning } = this.#input;
    switch (registration.kind) {
      case "none":
        return warning(
          "This machine is not registered yet",
          "Run migrate-agent --register <CODE> with a code from Settings in the dashboard",
        );
      case "unreadable":
        return failed(
          registration.message,
          "Mend the file, or remove it and register anew with a code from Settings",
        );
      case "registered":
        if (registration.key === null)
          return skipped("This machine is registered at another address than the one that is looked at");
        return ok(
          isRunning ? "Registered, and the agent is running" : "Registered; the agent is not running now",
        );
    }
  }

  #root(root: string): Found {
    const { disk } = this.#input.platform;
    try {
      const items = disk.readFolder(disk.realPath(root));
      const file = items.find(({ kind }) => kind === "file");
      if (file === undefined)
        return ok(`can be listed: ${count(items.length, "entry").replace("entrys", "entries")}`);
      const real = disk.realPath(root);
      disk
        .openNow(real.endsWith(disk.separator) ? real + file.name : real + disk.separator + file.name)
        .close();
      return ok("can be listed and read");
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      const todo =
        error.code === "denied"
          ? "Give the account that the agent runs under the right to list and read this folder and all below it"
          : "Check the path; a network drive has to be there for the account that the agent runs under";
      return failed(error.message, todo);
    }
  }

  // --- the way -----------------------------------------------------------------------------------------------------

  /** Name, connection, proxy and TLS of the control plane; whether all is open. */
  async #way(): Promise<boolean> {
    const { probe } = this.#input;
    const { hostname, port, proxy, isTls } = this.#hub;
    const place = `${hostname}, port ${port}`;
    const named = proxy ?? this.#hub;
    const steps: readonly (readonly [
      id: string,
      title: string,
      work: (stop: AbortSignal) => Promise<Found>,
    ])[] = [
      [
        "dns",
        "DNS",
        async (stop) => {
          const addresses = await probe.resolve(named.hostname, stop);
          const note = proxy === null ? "" : " (the proxy; it looks up the rest itself)";
          return ok(`${named.hostname} is ${addresses.slice(0, 4).join(", ")}${note}`);
        },
      ],
      [
        "tcp",
        `TCP ${named.port}`,
        async (stop) => {
          await probe.connect(this.#hub, stop);
          return ok(`${named.hostname}, port ${named.port}, can be reached`);
        },
      ],
      [
        "proxy",
        "Proxy",
        async (stop) => {
          if (proxy === null) return ok("none is set for it; connections go out directly");
          await probe.tunnel(this.#hub, stop);
          return ok(`${proxy.hostname}:${proxy.port} lets connections to ${place} through`);
        },
      ],
      [
        "tls",
        "TLS",
        async (stop) => {
          if (!isTls) return skipped("the address is on this machine, and not encrypted");
          const certificate = await probe.secure(this.#hub, stop);
          return ok(
            certificate === null
              ? `${hostname} is trusted`
              : `${hostname} is trusted; its certificate was issued by ${shown(certificate.issuer)}`,
          );
        },
      ],
    ];
    let isOpen = true;
    for (const [id, title, work] of steps) {
      if (isOpen) isOpen = await this.#check(id, title, work);
      else this.#skip(id, title, "what comes before it failed");
    }
    return isOpen;
  }

  async #health(stop: AbortSignal): Promise<Found> {
    const { platform, url } = this.#input;
    const sentMs = platform.clock.now();
    const response = await platform.fetch(`${url}/api/health`, { redirect: "manual", signal: stop });
    const text = await readText(response);
    const parsed = health.safeParse(parseJson(text));
    if (!parsed.success) return stranger(response, text, this.#hub.hostname);
    const theirMs = Date.parse(response.headers.get("Date") ?? "");
    this.#skewMs = Number.isNaN(theirMs) ? null : (sentMs + platform.clock.now()) / 2 - theirMs;
    const { status, version } = parsed.data;
    if (status === "ok" || status === "degraded") return ok(`The One Migrate ${version} answers`);
    return warning(
      `The One Migrate ${version} answers, and says that it is ${status}`,
      "Nothing is wrong here: wait, and tell whoever runs the control plane",
    );
  }

  #clock(): Found {
    const skewMs = this.#skewMs;
    if (skewMs === null) return skipped("the control plane did not tell the time");
    const off = Math.abs(skewMs);
    if (off <= SKEW_MS_WARNED) return ok("right, to within two minutes");
    const what = `This machine's clock is ${durationWords(off)} ${skewMs > 0 ? "ahead of" : "behind"} the control plane's`;
    const todo =
      "Set the clock, and let it be kept by a time server (NTP, UDP port 123, or the domain controller)";
    return off > SKEW_MS_MAX ? failed(what, todo) : warning(what, todo);
  }

  async #longPoll(stop: AbortSignal): Promise<Found> {
    const { platform, url } = this.#input;
    const line = platform.random.bytes(16).toHex();
    // A line that nobody began: it is answered, and nothing comes of it.
    const body = JSON.stringify({ line, frame: null, received: 0, waitSeconds: 0, close: null });
    const response = await platform.fetch(`${url}/api/agent/sync`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        ...this.#authorization(),
      },
      body,
      redirect: "manual",
      signal: stop,
    });
    const text = await readText(response);
    const json = parseJson(text);
    if (response.status === 200 && syncAnswer.safeParse(json).success)
      return ok("the control plane knows this agent and answers it");
    const refused = errorBody.safeParse(json);
    if (!refused.success) return stranger(response, text, this.#hub.hostname);
    return refusalOf(refused.data.code, refused.data.error, this.#key === null);
  }

  async #webSocket(stop: AbortSignal, isPolled: boolean): Promise<Found> {
    const reason =
      this.#key === null || this.#input.isRunning
        ? await this.#tryUpgrade(stop)
        : await this.#trySocket(stop);
    return typeof reason === "string" ? this.#noSocket(reason, isPolled) : reason;
  }

  #noSocket(reason: string, isPolled: boolean): Found {
    const { hostname, port } = this.#hub;
    const todo = `Ask the firewall team: let WebSocket connections (wss, an HTTP upgrade) to ${hostname}, port ${port}, through`;
    const what = `WebSockets do not pass: ${reason}`;
    return isPolled
      ? warning(
          `${what}. The agent works by HTTPS requests instead, and hears what is wanted some seconds later`,
          todo,
        )
      : failed(what, todo);
  }

  /** A whole connection, as the agent opens it. Only while no agent runs: it would lose its own. */
  async #trySocket(stop: AbortSignal): Promise<Found | string> {
    const { platform, url } = this.#input;
    const address = `${url.replace(/^http/, "ws")}/api/agent/session`;
    const headers = this.#authorization();
    try {
      const socket = await platform.connect(address, { protocol: SUBPROTOCOL, headers, signal: stop });
      try {
        socket.send(HEARTBEAT);
        const heard = await socket.receive(stop);
        if (heard.kind === "text" && heard.text === HEARTBEAT_ANSWER)
          return ok("a connection opens, and what is said is answered");
        return heard.kind === "closed"
          ? `the connection was closed (${heard.code})`
          : "something else answers";
      } finally {
        socket.close(1000, "only looked");
      }
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      if (error.status === 401 || error.status === 423)
        return skipped("the control plane refuses this agent");
      return error.status === null ? error.message : `the upgrade is answered with status ${error.status}`;
    }
  }

  /**
   * An upgrade that the control plane itself refuses, for the protocol it asks for, before the agent's session is touched:
   * so it is known that upgrades get there.
   */
  async #tryUpgrade(stop: AbortSignal): Promise<Found | string> {
    const { platform, probe } = this.#input;
    const fields = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": platform.random.bytes(16).toBase64(),
      "Sec-WebSocket-Protocol": "only-looking",
      ...this.#authorization(),
    };
    try {
      const answer = await probe.get(this.#hub, { path: "/api/agent/session", fields }, stop);
      const refused = errorBody.safeParse(parseJson(answer.body));
      if (!refused.success)
        return `the upgrade is answered with status ${answer.status}, by something on the way`;
      if (this.#key === null) return skipped("can be tried when this machine is registered");
      if (Object.hasOwn(Object(refused.data.details?.["fields"]), "Sec-WebSocket-Protocol"))
        return ok("upgrades reach the control plane; the agent that is running was left alone");
      if (refused.data.code === "VALIDATION_ERROR")
        return "something on the way takes the upgrade out of the request";
      return skipped("the control plane refuses this agent");
    } catch (error) {
      if (error instanceof ObstacleError) return obstacleWords(error.obstacle, this.#hub).what;
      throw error;
    }
  }

  // --- storage -----------------------------------------------------------------------------------------------------

  async #storage(origin: string, target: Target, stop: AbortSignal): Promise<Found> {
    const { probe, platform } = this.#input;
    if (target.isTls) await probe.secure(target, stop);
    else await probe.connect(target, stop);
    // The way that files take; without a credential every answer is a refusal, by which the service is known.
    const request = {
      method: "GET",
      url: `${origin}/?comp=list`,
      headers: {},
      body: null,
      headroomBytes: 0,
    } as const;
    try {
      const answer = await platform.transport.send(request, { signal: stop, pace: null });
      if (answer.header("x-ms-request-id") !== null) return ok("the storage service answers");
      const page = new TextDecoder().decode(answer.body.subarray(0, ANSWER_CHARACTERS_MAX));
      const { status } = answer;
      const location = answer.header("location");
      return { state: "failed", ...strangerWords({ status, location, page }, target.hostname) };
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      return failed(
        error.message,
        `Ask the firewall team: let HTTPS connections to ${target.hostname}, port ${target.port}, through`,
      );
    }
  }

  get #key(): string | null {
    const { registration } = this.#input;
    return registration.kind === "registered" ? registration.key : null;
  }

  #authorization(): Record<string, string> {
    return this.#key === null ? {} : { Authorization: `Bearer ${this.#key}` };
  }

  // --- checks ------------------------------------------------------------------------------------------------------

  /** Whether the way on is open. `target`: whom it is about; `late`: what it means that the time is up. */
  async #check(
    id: string,
    title: string,
    work: (stop: AbortSignal) => Found | Promise<Found>,
    { target = this.#hub, late }: { readonly target?: Target; readonly late?: () => Found } = {},
  ): Promise<boolean> {
    const { platform, limitMs, signal } = this.#input;
    signal.throwIfAborted();
    const limit = new AbortController();
    platform.clock.sleep(limitMs, limit.signal).then(
      () => limit.abort(new Error("no answer in time")),
      () => undefined,
    );
    const stop = AbortSignal.any([signal, limit.signal]);
    let found: Found;
    try {
      found = await within(Promise.resolve(work(stop)), stop);
    } catch (error) {
      signal.throwIfAborted();
      const isLate = limit.signal.aborted;
      found =
        isLate && late !== undefined
          ? late()
          : { state: "failed", ...faultWords(error, target, isLate ? limitMs : null) };
    } finally {
      limit.abort();
    }
    this.#put(id, title, found);
    return found.state !== "failed";
  }

  #skip(id: string, title: string, what: string): void {
    this.#put(id, title, skipped(what));
  }

  #put(id: string, title: string, found: Found): void {
    this.checks.push({ id, title, ...found });
  }
}

function needsOf(input: DoctorInput): string[] {
  const way = ({ hostname, port, proxy }: Target) =>
    `${hostname}, TCP port ${port}${proxy === null ? "" : `, through the proxy ${proxy.hostname}:${proxy.port}`}`;
  const accounts = input.storage.length === 0 ? [STORAGE_UNKNOWN] : input.storage;
  return [
    `${way(targetOf(input.environment, input.url))}: HTTPS and WebSocket (wss), without TLS inspection`,
    ...accounts.map((origin) => `${way(targetOf(input.environment, origin))}: HTTPS, without TLS inspection`),
  ];
}

/** Something else than the control plane answers: a portal's page, a proxy's. */
function stranger(response: Response, page: string, hostname: string): Found {
  const { status, headers } = response;
  return { state: "failed", ...strangerWords({ status, location: headers.get("Location"), page }, hostname) };
}

/** What the control plane itself refuses is no trouble of the way. */
function refusalOf(code: string, sentence: string, isStranger: boolean): Found {
  switch (code) {
    case "UNAUTHORIZED":
      if (isStranger) return ok("the control plane answers; more is tried when this machine is registered");
      return failed(
        "The control plane does not know this agent's key: the agent was revoked or deleted",
        "Ask an admin; to use this machine again run migrate-agent unregister, and register with a new code",
      );
    case "AGENT_PENDING":
      return warning("This agent waits for approval", "An admin approves it in the dashboard, under Agents");
    case "AGENT_LOCKED":
      return failed(
        "This agent is locked, because its identity was used from two places",
        "An admin looks into it, and unlocks it in the dashboard, under Agents",
      );
    default:
      return warning(`The control plane answers with a refusal: ${sentence}`, "Try again in a minute");
  }
}

/** As far as anybody looks at it. */
async function readText(response: Response): Promise<string> {
  let text = "";
  if (response.body === null) return text;
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (text.length > ANSWER_CHARACTERS_MAX) break;
  }
  return text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Does not wait for what does not hear the signal. */
function within<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
