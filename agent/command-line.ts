/** What the words behind `migrate-agent` mean, and what `help` says about them. Pure. */

export type Command =
  | {
      readonly kind: "register";
      readonly code: string;
      readonly url: string | null;
      readonly name: string | null;
      readonly state: string | null;
      /** Registered and no more: an installation starts it in its own way. */
      readonly exit: boolean;
    }
  | {
      readonly kind: "start";
      readonly state: string | null;
      /** Somebody starts the program again when it has ended for a new version. */
      readonly service: boolean;
    }
  | {
      readonly kind: "verify";
      readonly manifest: string;
      readonly against: { readonly kind: "source" | "destination"; readonly place: string };
      readonly samplePercent: number;
      readonly seed: string | null;
      readonly sha256: string | null;
      readonly json: boolean;
    }
  | {
      readonly kind: "doctor";
      readonly url: string | null;
      readonly state: string | null;
      readonly storage: string | null;
      readonly json: boolean;
    }
  | { readonly kind: "status"; readonly state: string | null; readonly json: boolean }
  | { readonly kind: "unregister"; readonly state: string | null; readonly yes: boolean }
  | {
      readonly kind: "logs";
      readonly state: string | null;
      readonly lines: number;
      readonly follow: boolean;
    }
  | { readonly kind: "self-test"; readonly json: boolean }
  | { readonly kind: "version"; readonly json: boolean }
  | { readonly kind: "help" };

/** Words that make no command. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const LOG_LINES = 100;
const LOG_LINES_MAX = 1_000_000;

/** What may stand behind a command. An option without a value is on or off. */
interface Option {
  readonly value: string | null;
  readonly does: string;
}

interface Shape {
  /** What has to follow, by its name in the usage. */
  readonly operand: string | null;
  readonly does: string;
  readonly options: readonly string[];
  readonly read: (words: Words) => Command;
}

/** The words of one command, sorted. */
interface Words {
  readonly operand: string;
  value(option: string): string | null;
  isSet(option: string): boolean;
}

const OPTIONS: Readonly<Record<string, Option>> = {
  "--register": { value: "<CODE>", does: "the code from Settings in the dashboard" },
  "--exit": { value: null, does: "end when it is registered; for installations" },
  "--url": { value: "<address>", does: "the control plane's address" },
  "--name": { value: "<agent name>", does: "what the dashboard calls this agent" },
  "--state": { value: "<folder>", does: "the folder for state, instead of the system's usual one" },
  "--service": { value: null, does: "exit code 8 starts it again, so it may install newer releases" },
  "--storage": {
    value: "<address>",
    does: "a storage account to try as well, such as https://name.blob.core.windows.net",
  },
  "--source": { value: "<folder>", does: "compare the files of this folder" },
  "--destination": {
    value: "<container address>",
    does: "compare the blobs of this container; its SAS, for reading only, comes by standard input",
  },
  "--sample": { value: "<percent>", does: "compare so many of the files only, drawn by lot" },
  "--seed": { value: "<text>", does: "the lot of an earlier sample, to draw the same files again" },
  "--sha256": { value: "<digest>", does: "the manifest's SHA-256, as the job's report has it" },
  "--lines": { value: "<number>", does: "so many lines; 100 without it" },
  "--follow": { value: null, does: "go on with what comes, until it is stopped" },
  "--yes": { value: null, does: "do not ask" },
  "--json": { value: null, does: "one JSON document instead of words" },
};

const COMMANDS: Readonly<Record<string, Shape>> = {
  start: {
    operand: null,
    does: "Connect and run the jobs of this agent.",
    options: ["--state", "--service"],
    read: ({ value, isSet }) => ({ kind: "start", state: value("--state"), service: isSet("--service") }),
  },
  doctor: {
    operand: null,
    does: "Find out what keeps this machine from working, and what to ask the firewall team for.",
    options: ["--url", "--storage", "--state", "--json"],
    read: ({ value, isSet }) => ({
      kind: "doctor",
      url: value("--url"),
      state: value("--state"),
      storage: value("--storage"),
      json: isSet("--json"),
    }),
  },
  status: {
    operand: null,
    does: "Say whether the agent runs, how it is connected, and how far its jobs are.",
    options: ["--state", "--json"],
    read: ({ value, isSet }) => ({ kind: "status", state: value("--state"), json: isSet("--json") }),
  },
  unregister: {
    operand: null,
    does: "Remove the agent's key and all that it remembers from this machine.",
    options: ["--yes", "--state"],
    read: ({ value, isSet }) => ({ kind: "unregister", state: value("--state"), yes: isSet("--yes") }),
  },
  logs: {
    operand: null,
    does: "Show the newest lines of this agent's log.",
    options: ["--lines", "--follow", "--state"],
    read: readLogs,
  },
  verify: {
    operand: "<manifest>",
    does: "Compare files with what a job's manifest says of them.",
    options: ["--source", "--destination", "--sample", "--seed", "--sha256", "--json"],
    read: readVerify,
  },
  "self-test": {
    operand: null,
    does: "Try what this program may do and what it must not; exit code 1 if something is otherwise.",
    options: ["--json"],
    read: ({ isSet }) => ({ kind: "self-test", json: isSet("--json") }),
  },
  version: {
    operand: null,
    does: "Say which agent this is.",
    options: ["--json"],
    read: ({ isSet }) => ({ kind: "version", json: isSet("--json") }),
  },
  help: { operand: null, does: "Show this.", options: [], read: () => ({ kind: "help" }) },
};

/** Not one of the words: registering is done once, and always was an option. */
const REGISTER: Shape = {
  operand: null,
  does: "Register this machine with a code from Settings, then connect and keep running.",
  options: ["--register", "--url", "--name", "--state", "--exit"],
  read: ({ value, isSet }) => ({
    kind: "register",
    code: value("--register") ?? "",
    url: value("--url"),
    name: value("--name"),
    state: value("--state"),
    exit: isSet("--exit"),
  }),
};

const ALIASES: Readonly<Record<string, string>> = { "--help": "help", "-h": "help", "--version": "version" };

export const USAGE = `Usage:
${usageOf("", REGISTER)}
${Object.entries(COMMANDS)
  .map(([name, shape]) => usageOf(name, shape))
  .join("\n")}

Options:
${Object.entries(OPTIONS)
  .map(([name, { value, does }]) => `  ${`${name} ${value ?? ""}`.padEnd(36)}${does}`)
  .join("\n")}

Environment:
  MIGRATE_API_URL     address of the control plane, instead of --url or the configuration
  REGISTER_CODE       a registration code, for the first "start" of a service
  MIGRATE_AGENT_KEY   the agent's key, instead of the configuration
  MIGRATE_STATE_DIR   folder for state, instead of the system's usual one
  HTTPS_PROXY, NO_PROXY, DENO_CERT
                      the proxy, what is reached without it, a file of further authorities; or network.json in that folder

Exit codes: 0 stopped as asked, or all is well; 1 unexpected error, or a check failed; 2 used wrongly or refused;
3 control plane or storage not reachable; 4 another agent runs in the same state folder; 5 this agent was revoked;
6 verify found differences; 7 verify found none, but could not compare all;
8 another version of the agent is in place, to be started.
`;

function usageOf(name: string, { operand, does, options }: Shape): string {
  const words = options.map((option) => {
    const { value } = optionOf(option);
    const text = value === null ? option : `${option} ${value}`;
    return option === "--register" ? text : `[${text}]`;
  });
  const line = ["migrate-agent", name, operand ?? "", ...words].filter((word) => word !== "").join(" ");
  return `  ${line}\n      ${does}`;
}

export function parseCommandLine(words: readonly string[]): Command {
  const given = new Map<string, string | null>();
  const plain: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    const alias = ALIASES[word];
    if (alias === "help") return { kind: "help" };
    if (alias !== undefined || !word.startsWith("-")) {
      plain.push(alias ?? word);
      continue;
    }
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const { value: wanted } = optionOf(name);
    if (given.has(name)) throw new UsageError(`${name} is there twice`);
    if (wanted === null) {
      if (equals >= 0) throw new UsageError(`${name} takes no value`);
      given.set(name, null);
      continue;
    }
    const value = equals < 0 ? words[++index] : word.slice(equals + 1);
    if (value === undefined || value === "" || (equals < 0 && value.startsWith("--")))
      throw new UsageError(`${name} needs a value: ${name} ${wanted}`);
    given.set(name, value);
  }
  return commandOf(plain, given);
}

function optionOf(name: string): Option {
  const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
  if (option === undefined)
    throw new UsageError(`Unknown option "${name}"${meant(name, Object.keys(OPTIONS))}`);
  return option;
}

function commandOf(plain: readonly string[], given: ReadonlyMap<string, string | null>): Command {
  const [name, ...rest] = plain;
  if (given.has("--register")) {
    if (name !== undefined) throw new UsageError(`--register stands alone, without "${name}"`);
    return readAs("--register", REGISTER, [], given);
  }
  if (name === undefined) {
    const [option] = given.keys();
    throw new UsageError(option === undefined ? "Nothing to do" : `${option} stands behind a command`);
  }
  const shape = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (shape === undefined) {
    const hint =
      name === "register" ? "; did you mean --register <CODE>?" : meant(name, Object.keys(COMMANDS));
    throw new UsageError(`Unknown command "${name}"${hint}`);
  }
  return readAs(name, shape, rest, given);
}

function readAs(
  name: string,
  shape: Shape,
  rest: readonly string[],
  given: ReadonlyMap<string, string | null>,
): Command {
  for (const option of given.keys()) {
    if (shape.options.includes(option)) continue;
    const where = [["--register", REGISTER] as const, ...Object.entries(COMMANDS)]
      .filter(([, { options }]) => options.includes(option))
      .map(([other]) => other);
    throw new UsageError(`${option} does not go with ${name}, only with ${where.join(", ")}`);
  }
  const operands = shape.operand === null ? 0 : 1;
  const surplus = rest[operands];
  if (surplus !== undefined) throw new UsageError(`Unexpected "${surplus}" behind ${name}`);
  const operand = rest[0] ?? "";
  if (operands === 1 && operand === "") throw new UsageError(`${name} needs a ${shape.operand}`);
  return shape.read({
    operand,
    value: (option) => given.get(option) ?? null,
    isSet: (option) => given.has(option),
  });
}

function readVerify({ operand, value, isSet }: Words): Command {
  const source = value("--source");
  const destination = value("--destination");
  if ((source === null) === (destination === null)) {
    throw new UsageError(
      "verify needs either --source <folder> or --destination <container address> to compare with",
    );
  }
  const sample = value("--sample");
  const samplePercent = sample === null ? 100 : Number(sample.replace(/%$/, ""));
  if (!(samplePercent > 0 && samplePercent <= 100))
    throw new UsageError(`--sample needs a number above 0 and up to 100, not "${sample}"`);
  const seed = value("--seed");
  if (seed !== null && sample === null) throw new UsageError("--seed goes with --sample <percent>");
  const sha256 = value("--sha256")?.toLowerCase() ?? null;
  if (sha256 !== null && !/^[0-9a-f]{64}$/.test(sha256))
    throw new UsageError("--sha256 needs 64 hexadecimal digits");
  return {
    kind: "verify",
    manifest: operand,
    against:
      source !== null
        ? { kind: "source", place: source }
        : { kind: "destination", place: destination as string },
    samplePercent,
    seed,
    sha256,
    json: isSet("--json"),
  };
}

function readLogs({ value, isSet }: Words): Command {
  const lines = Number(value("--lines") ?? LOG_LINES);
  if (!Number.isInteger(lines) || lines < 1 || lines > LOG_LINES_MAX)
    throw new UsageError(`--lines needs a whole number from 1 to ${LOG_LINES_MAX}`);
  return { kind: "logs", state: value("--state"), lines, follow: isSet("--follow") };
}

/** Half a word, a word with a slip, or the right one with other dashes. */
function meant(word: string, known: readonly string[]): string {
  const bare = (text: string) => text.replace(/^-+/, "").toLowerCase();
  const nearest = known
    .map((name) => ({ name, distance: distance(bare(word), bare(name)) }))
    .filter(({ name, distance: far }) => far <= Math.max(1, Math.floor(bare(name).length / 3)))
    .sort((a, b) => a.distance - b.distance)[0]?.name;
  const begun = known.find((name) => bare(word).length >= 2 && bare(name).startsWith(bare(word)));
  const guess = nearest ?? begun;
  return guess === undefined ? "" : `; did you mean "${guess}"?`;
}

/** How many letters have to be put in, taken out, changed or swapped with their neighbour. */
function distance(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const at = (line: readonly number[] | undefined, column: number) => line?.[column] ?? Infinity;
      const isSame = from[i - 1] === to[j - 1];
      const isSwapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      row.push(
        Math.min(
          at(rows[i - 1], j) + 1,
          at(row, j - 1) + 1,
          at(rows[i - 1], j - 1) + (isSame ? 0 : 1),
          isSwapped ? at(rows[i - 2], j - 2) + 1 : Infinity,
        ),
      );
    }
    rows.push(row);
  }
  return rows[from.length]?.[to.length] ?? Infinity;
}
