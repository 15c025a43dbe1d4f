/**
 * `migrate-agent self-test`: what this program may do, found out by trying. It says of the very executable in front of one
 * whether it was built with the rights it should have: no program, no native library, no foreign variable, no open door.
 * Nothing that it tries does harm where it succeeds.
 */
type Right = "refused" | "allowed";

export interface Trial {
  readonly what: string;
  readonly wanted: Right;
  readonly found: Right;
  /** Why it is as found, in the words of the runtime. */
  readonly detail: string;
}

export interface SelfTest {
  readonly result: "ok" | "failed";
  readonly trials: readonly Trial[];
}

const THREAD_LIMIT_MS = 10_000;
/** No file has this name, so whoever may load or start it finds nothing. */
const NO_FILE = "/no-such-file-of-migrate-agent-self-test";
/** One of the hosts from which Deno imports unless it is told otherwise; the file is not there. */
const REMOTE_MODULE = "https://jsr.io/no-such-file-of-migrate-agent-self-test.js";

const TRIALS: readonly { what: string; wanted: Right; attempt: () => unknown }[] = [
  { what: "start a program", wanted: "refused", attempt: () => new Deno.Command(NO_FILE).outputSync() },
  { what: "load a native library", wanted: "refused", attempt: () => Deno.dlopen(NO_FILE, {}) },
  { what: "read another environment variable", wanted: "refused", attempt: () => Deno.env.get("PATH") },
  { what: "read all environment variables", wanted: "refused", attempt: () => Deno.env.toObject() },
  { what: "list the network interfaces", wanted: "refused", attempt: () => Deno.networkInterfaces() },
  { what: "listen on all IPv4 addresses", wanted: "refused", attempt: () => listen("0.0.0.0") },
  { what: "listen on all IPv6 addresses", wanted: "refused", attempt: () => listen("[::]") },
  { what: "import code from the network", wanted: "refused", attempt: () => import(REMOTE_MODULE) },
  { what: "read a file", wanted: "allowed", attempt: () => Deno.statSync(Deno.execPath()) },
  { what: "write a file", wanted: "allowed", attempt: writeFile },
  {
    what: "read the variables it knows",
    wanted: "allowed",
    attempt: () => Deno.env.get("MIGRATE_STATE_DIR"),
  },
  { what: "read this machine's name", wanted: "allowed", attempt: () => Deno.hostname() },
  { what: "connect to an address", wanted: "allowed", attempt: connect },
  { what: "begin the thread for digests", wanted: "allowed", attempt: digestBeside },
];

export async function selfTest(): Promise<SelfTest> {
  const trials: Trial[] = [];
  for (const { what, wanted, attempt } of TRIALS) {
    const { found, detail } = await outcomeOf(attempt);
    trials.push({ what, wanted, found, detail });
  }
  return { result: trials.every(({ wanted, found }) => wanted === found) ? "ok" : "failed", trials };
}

export function selfTestWords({ result, trials }: SelfTest): string {
  const wrong = trials.filter(({ wanted, found }) => wanted !== found).length;
  return [
    ...trials.map(({ what, wanted, found, detail }) =>
      found === wanted
        ? `  ok       ${what}: ${found}, as it should be`
        : `  FAILED   ${what}: ${found}, should be ${wanted} (${detail})`,
    ),
    "",
    result === "ok"
      ? "Result: this program may do what it needs, and nothing else of what was tried"
      : `Result: ${wrong} of ${trials.length} are not as they should be. Do not use this program; get it again, and compare its checksum`,
  ].join("\n");
}

async function outcomeOf(attempt: () => unknown): Promise<{ found: Right; detail: string }> {
  try {
    await attempt();
    return { found: "allowed", detail: "it worked" };
  } catch (error) {
    const detail = error instanceof Error ? `${error.name}: ${error.message.split("\n")[0]}` : String(error);
    return { found: isRefusal(error) ? "refused" : "allowed", detail };
  }
}

/**
 * Only the runtime's own refusal counts: a file that is not there, or a network that is down, is no missing right. An import
 * says it in words alone; a compiled program has no loader for what is not in it.
 */
function isRefusal(error: unknown): boolean {
  if (error instanceof Deno.errors.NotCapable || error instanceof BrokenThread) return true;
  const { message } = error as Error;
  return message.startsWith("Requires import access") || message === `Module not found: ${REMOTE_MODULE}`;
}

function listen(hostname: string): void {
  Deno.listen({ hostname, port: 0 }).close();
}

function writeFile(): void {
  const file = Deno.makeTempFileSync({ prefix: "migrate-agent-self-test-" });
  Deno.removeSync(file);
}

/** To where nobody listens: that it is refused by the other side shows that it was tried. */
async function connect(): Promise<void> {
  (await Deno.connect({ hostname: "127.0.0.1", port: 1 })).close();
}

class BrokenThread extends Error {}

/** A file that is missing from the executable shows here, and not in the middle of the first job. */
async function digestBeside(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const worker = new Worker(new URL("./digest-worker.ts", import.meta.url), { type: "module" });
  const timer = setTimeout(() => reject(new BrokenThread("it did not answer")), THREAD_LIMIT_MS);
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    reject(new BrokenThread(event.message));
  });
  worker.addEventListener("message", () => resolve());
  try {
    worker.postMessage({ kind: "finish", stream: 0 });
    await promise;
  } finally {
    clearTimeout(timer);
    worker.terminate();
  }
}
