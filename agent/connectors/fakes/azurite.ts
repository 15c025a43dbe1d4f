/** For tests: an Azurite of its own, in memory, on a free port, and grants that are signed as the control plane does. */
import { createHmac } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { Grant } from "../../../schema/connector.ts";
import type { GrantProvider } from "../connector.ts";

const ACCOUNT = "devstoreaccount1";
/** Microsoft's public key of the emulator. */
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const MODULES = new URL("../../../node_modules/", import.meta.url);
const MINUTE_MS = 60_000;

export class Azurite {
  readonly account = ACCOUNT;
  readonly #child: Deno.ChildProcess;
  readonly #origin: string;

  private constructor(child: Deno.ChildProcess, origin: string) {
    this.#child = child;
    this.#origin = origin;
  }

  static async start(): Promise<Azurite> {
    const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
    const child = new Deno.Command(fileURLToPath(new URL(`node-linux-${arch}/bin/node`, MODULES)), {
      args: [
        fileURLToPath(new URL("azurite/dist/src/blob/main.js", MODULES)),
        "--silent",
        "--skipApiVersionCheck",
        "--disableTelemetry",
        "--blobPort",
        "0",
        "--inMemoryPersistence",
      ],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    return new Azurite(child, await readOrigin(child.stdout));
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  containerUrl(container: string): string {
    return `${this.#origin}/${ACCOUNT}/${container}`;
  }

  async createContainer(container: string): Promise<void> {
    const response = await fetch(`${this.containerUrl(container)}?restype=container&${accountSas()}`, {
      method: "PUT",
      headers: { "x-ms-version": "2023-11-03" },
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`Cannot create container: ${response.status}`);
  }

  async download(container: string, name: string): Promise<Uint8Array> {
    const path = name.split("/").map(encodeURIComponent).join("/");
    const response = await fetch(`${this.containerUrl(container)}/${path}?${containerSas(container, 10)}`);
    if (!response.ok) throw new Error(`Cannot download "${name}": ${response.status}`);
    return await response.bytes();
  }

  /** As somebody else than the agent would. */
  async upload(container: string, name: string, bytes: Uint8Array): Promise<void> {
    await this.#change("PUT", container, name, bytes.slice());
  }

  async remove(container: string, name: string): Promise<void> {
    await this.#change("DELETE", container, name, null);
  }

  async #change(
    method: "PUT" | "DELETE",
    container: string,
    name: string,
    body: Uint8Array<ArrayBuffer> | null,
  ): Promise<void> {
    const path = name.split("/").map(encodeURIComponent).join("/");
    const response = await fetch(
      `${this.containerUrl(container)}/${path}?${containerSas(container, 10, "rcwd")}`,
      {
        method,
        body,
        headers: {
          "x-ms-version": "2022-11-02",
          ...(body === null ? {} : { "x-ms-blob-type": "BlockBlob" }),
        },
      },
    );
    await response.body?.cancel();
    if (!response.ok) throw new Error(`Cannot change "${name}": ${response.status}`);
  }

  grant(container: string, options: { readonly minutes: number } = { minutes: 60 }): Grant {
    return {
      kind: "azure_blob",
      containerUrl: this.containerUrl(container),
      container,
      sas: containerSas(container, options.minutes),
      expiresAt: new Date(Date.now() + options.minutes * MINUTE_MS).toISOString(),
      renewAt: new Date(Date.now() + (options.minutes * MINUTE_MS) / 2).toISOString(),
    };
  }

  /** As a person makes one in the portal. */
  sas(container: string, permissions: string, minutes = 60): string {
    return containerSas(container, minutes, permissions);
  }

  grants(container: string): GrantProvider {
    const grant = this.grant(container);
    return { current: () => Promise.resolve(grant), replace: () => Promise.resolve(this.grant(container)) };
  }
}

/** Azurite says where it listens once it does. */
async function readOrigin(stdout: ReadableStream<Uint8Array>): Promise<string> {
  let said = "";
  for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    const origin = /successfully listens on (http:\/\/\S+)/.exec(said)?.[1];
    if (origin !== undefined) return origin;
  }
  throw new Error(`Azurite did not start: ${said}`);
}

/** By default read, create, write, list; not delete. 16 lines of version 2022-11-02. */
function containerSas(container: string, minutes: number, permissions = "rcwl"): string {
  const [start, end, version] = [sasTime(Math.min(-15, minutes - 15)), sasTime(minutes), "2022-11-02"];
  const lines = [
    permissions,
    start,
    end,
    `/blob/${ACCOUNT}/${container}`,
    "",
    "",
    "",
    version,
    "c",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
  ];
  return String(
    new URLSearchParams({
      sv: version,
      sr: "c",
      st: start,
      se: end,
      sp: permissions,
      sig: sign(lines.join("\n")),
    }),
  );
}

function accountSas(): string {
  const [permissions, start, end, version] = ["rwlc", sasTime(-15), sasTime(60), "2022-11-02"];
  const lines = [ACCOUNT, permissions, "b", "sco", start, end, "", "", version, "", ""];
  const values = {
    sv: version,
    ss: "b",
    srt: "sco",
    st: start,
    se: end,
    sp: permissions,
    sig: sign(lines.join("\n")),
  };
  return String(new URLSearchParams(values));
}

function sign(text: string): string {
  return createHmac("sha256", Uint8Array.fromBase64(KEY)).update(text).digest("base64");
}

function sasTime(minutesFromNow: number): string {
  return new Date(Date.now() + minutesFromNow * MINUTE_MS).toISOString().replace(/\.\d+Z$/, "Z");
}
