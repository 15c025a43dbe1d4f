/**
 * The rules of the house that no compiler knows: who may import whom, names, words that do not belong, and that the
 * specification and the tests name each other. Each check takes files as text and gives back what is wrong, a line each.
 */
import { dirname, join, normalize } from "node:path";

/** A file by its path from the root of the repository. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** What a part may import of the other parts; `docs/architecture.md` draws it. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  schema: ["schema"],
  agent: ["agent", "schema"],
  "durable-objects": ["durable-objects", "schema"],
  worker: ["worker", "durable-objects", "schema"],
  ui: ["ui", "schema"],
};

/** The packages a part may import; what is not listed may import anything. */
const PACKAGES: Readonly<Record<string, readonly RegExp[]>> = {
  schema: [/^zod$/, /^drizzle-orm/],
  agent: [/^zod$/, /^node:/],
  "durable-objects": [/^cloudflare:/, /^drizzle-orm/],
  worker: [/^drizzle-orm/, /^hono/, /^jose$/, /^zod$/],
  ui: [/^preact/, /^@preact\/signals$/, /^uplot(\/|$)/],
};

/** The tables and the door to D1 are for those who keep the data. */
const DATABASE_FILES = ["schema/tables.ts", "schema/scoped-db.ts"];
const DATABASE_PARTS = ["schema", "worker", "durable-objects"];
/** D1 without a scope: who comes before there is an organization, and the sweep over all of them. */
const UNSCOPED_FILES = ["schema/scoped-db.ts", "worker/db/identity.ts", "worker/db/sweep.ts"];
/** Who may hold the binding itself, to hand it on to a door. */
const BINDING_FILES =
  /^(worker\/(app|sweep)\.ts|worker\/(routes|auth)\/[a-z-]+\.ts|worker\/env\.ts|durable-objects\/[a-z-]+\.ts)$/;

export function findForbiddenImports(files: readonly SourceFile[]): string[] {
  const kinds = findKinds(files);
  return files.flatMap((file) =>
    isTest(file.path)
      ? []
      : importsOf(file)
          .flatMap((name) => [...judgeImport(file.path, name), ...judgeKinds(kinds, file.path, name)])
          .map((why) => `${file.path}: ${why}`),
  );
}

/** The connectors there are, without ending: what the registry imports beside the interface. */
function findKinds(files: readonly SourceFile[]): string[] {
  const registry = files.find(({ path }) => path === "agent/connectors/registry.ts");
  if (registry === undefined) return [];
  return importsOf(registry)
    .filter((name) => /^\.\/[a-z0-9-]+\.ts$/.test(name) && name !== "./connector.ts")
    .map((name) => normalize(join("agent/connectors", name)).replace(/\.ts$/, ""));
}

/** A kind may be several files, `azure-blob.ts` and `azure-blob-errors.ts`; to all others it is closed. */
function judgeKinds(kinds: readonly string[], from: string, name: string): string[] {
  if (!from.startsWith("agent/connectors/") || from === "agent/connectors/registry.ts") return [];
  const target = normalize(join(dirname(from), name)).replace(/\.ts$/, "");
  const belongs = (path: string, kind: string) => path === kind || path.startsWith(`${kind}-`);
  return kinds
    .filter((kind) => belongs(target, kind) && !belongs(from.replace(/\.ts$/, ""), kind))
    .map(() => `a connector may not know another kind, "${target}"`);
}

function judgeImport(from: string, name: string): string[] {
  const part = partOf(from);
  const allowed = PARTS[part];
  if (allowed === undefined) return [];
  if (!name.startsWith(".")) {
    const isListed = PACKAGES[part]?.some((pattern) => pattern.test(name)) ?? true;
    // The rest of schema is read by the agent and the dashboard, which know no database.
    const isMisplaced = part === "schema" && name.startsWith("drizzle-orm") && !DATABASE_FILES.includes(from);
    return isListed && !isMisplaced ? [] : [`"${part}" may not import the package "${name}"`];
  }
  const target = normalize(join(dirname(from), name));
  const wrong: string[] = [];
  if (!allowed.includes(partOf(target))) wrong.push(`"${part}" may not import "${target}"`);
  if (DATABASE_FILES.includes(target) && !DATABASE_PARTS.includes(part))
    wrong.push(`"${target}" is for worker and durable-objects only`);
  const isCore = /^agent\/(engine\/|session\.ts|runner\.ts|state\.ts|grants\.ts)/.test(from);
  const isConnector = target.startsWith("agent/connectors/") && target !== "agent/connectors/connector.ts";
  if (isCore && (isConnector || target === "agent/platform-deno.ts"))
    wrong.push(`a core of the agent may not know "${target}"`);
  if (from.startsWith("agent/connectors/") && target.startsWith("agent/engine/"))
    wrong.push(`a connector may not know the engine`);
  return wrong;
}

/** Things a file's text must not hold, with where that is allowed. */
const FORBIDDEN_TEXT: readonly {
  readonly what: RegExp;
  readonly why: string;
  readonly where?: RegExp;
  readonly except?: RegExp;
}[] = [
  { what: /\b(TODO|FIXME|XXX)\b/, why: "unfinished work belongs into an issue" },
  { what: /\bas any\b|@ts-ignore|@ts-expect-error/, why: "a way around the type checker" },
  { what: /\.(only|todo)\(/, why: "a test that stands alone or does not run" },
  {
    what: /import \{[^}]*\bz\b[^}]*\} from "zod"/,
    why: 'write `import * as z from "zod"`, or every locale comes along',
  },
  { what: /^\s*(export )?(const )?enum /m, why: "no enums" },
  { what: /innerHTML/i, why: "text is never HTML" },
  {
    what: /\bDeno\./,
    why: "only main.ts and the files of Deno reach for Deno",
    where: /^agent\//,
    except: /^agent\/(main|[\w-]+-deno)\.ts$/,
  },
  {
    what: /\bsystemDb\b/,
    why: "D1 is asked through a scope",
    except: new RegExp(`^(${UNSCOPED_FILES.join("|")})$`),
  },
  { what: /\benv\.DB\b/, why: "the binding is handed on in one place", except: BINDING_FILES },
  {
    what: /(?<![\w.$}])\/(?:home|root|Users|work)\/\w/,
    why: "a path of somebody's machine",
    except: /\.test\.tsx?$/,
  },
  { what: /"drizzle-orm\/d1"/, why: "D1 has one door", except: /^schema\/scoped-db\.ts$/ },
];

export function findForbiddenText(files: readonly SourceFile[]): string[] {
  const wrong: string[] = [];
  for (const file of files) {
    for (const { what, why, where, except } of FORBIDDEN_TEXT) {
      if (isTest(file.path) && (where ?? except) !== undefined) continue;
      if (where !== undefined && !where.test(file.path)) continue;
      if (except?.test(file.path) === true) continue;
      const found = what.exec(file.text);
      if (found !== null) wrong.push(`${file.path}: "${found[0].trim()}": ${why}`);
    }
  }
  return wrong;
}

const VAGUE = /(^|\/)(utils?|helpers?|managers?|services?|common|misc)(\.[a-z]+|\/|$)/;

/** What an attacker may guess at, piece by piece, from how long a comparison takes. */
const SECRET_NAME = /(secret|hash|token|signature|password|pepper|nonce|verifier|cookie|hmac)$/i;

/**
 * Secrets that are compared as texts are, which ends at the first difference. Told by the names on both sides; what a name
 * is compared with to see whether it is there, or which kind it is, is written out.
 */
export function findHastyComparisons(files: readonly SourceFile[]): string[] {
  const wrong: string[] = [];
  for (const { path, text } of files) {
    if (isTest(path) || !/^(worker|durable-objects)\//.test(path)) continue;
    for (const [comparison, left = "", right = ""] of text.matchAll(
      /([\w.?[\]"]+?)(?:\(\))? ?[!=]==? ?([\w.?[\]]+|"[^"]*"|'[^']*')/g,
    )) {
      const isWrittenOut = /^("|'|undefined$|null$|true$|false$|\d)/.test(right);
      const names = [left, right].map((side) => side.replace(/"?\]$/, ""));
      if (!isWrittenOut && names.some((name) => SECRET_NAME.test(name)))
        wrong.push(`${path}: "${comparison}": secrets are compared by sameSecret`);
    }
  }
  return wrong;
}

export function findBadNames(files: readonly SourceFile[]): string[] {
  const wrong: string[] = [];
  for (const { path, text } of files) {
    if (!/^([a-z0-9.-]+\/)*[a-z0-9-]+(\.(test|d|config))?\.tsx?$/.test(path))
      wrong.push(`${path}: file names are kebab-case`);
    if (VAGUE.test(path)) wrong.push(`${path}: the name says nothing`);
    const statements = text
      .replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")
      .split(";")
      .map((one) => one.trim())
      .filter(Boolean);
    if (
      statements.length > 0 &&
      statements.every((one) => /^export\s+(type\s+)?(\*|\{)[\s\S]*from\s+"/.test(one))
    ) {
      wrong.push(`${path}: a file that only exports others' things`);
    }
  }
  return wrong;
}

/** Rules without a test, and tests that name a rule there is not. Rules are written `**A1**`, tests carry `[A1]`. */
export function findUnprovedRules(specification: string, tests: readonly SourceFile[]): string[] {
  const rules = new Set(
    Array.from(specification.matchAll(/\*\*([A-Z]{1,2}\d+)\*\*/g), (match) => match[1] as string),
  );
  const named = new Map<string, string>();
  for (const { path, text } of tests) {
    // One test may carry several: `[S1] [S2]` or `[S1, S2]`.
    // Only names count: a tag in a comment proves nothing, and neither does a test that never runs.
    const run = text.replaceAll(/\.skip\(\s*["'`][^"'`\n]*/g, "");
    for (const [, tags = ""] of run.matchAll(/["'`]((?:\[[A-Z]{1,2}\d+(?:, ?[A-Z]{1,2}\d+)*\] ?)+)/g)) {
      for (const [rule] of tags.matchAll(/[A-Z]{1,2}\d+/g)) named.set(rule, path);
    }
  }
  return [
    ...Array.from(rules)
      .filter((rule) => !named.has(rule))
      .map((rule) => `docs/spec.md: no test carries [${rule}]`),
    ...Array.from(named)
      .filter(([rule]) => !rules.has(rule))
      .map(([rule, path]) => `${path}: there is no rule ${rule} in docs/spec.md`),
  ];
}

/** Links of a Markdown file to files that are not there. */
export function findBrokenLinks(page: SourceFile, exists: (path: string) => boolean): string[] {
  return Array.from(page.text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g), (match) => match[1] as string)
    .filter((link) => !exists(normalize(join(dirname(page.path), link))))
    .map((link) => `${page.path}: the link "${link}" leads nowhere`);
}

function importsOf({ text }: SourceFile): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, "");
  const forms = [
    /^\s*(?:import|export)\s[^;"]*?from\s+"([^"]+)"/gm,
    /^\s*import\s+"([^"]+)"/gm,
    /\bimport\(\s*"([^"]+)"/g,
  ];
  return forms.flatMap((form) => Array.from(code.matchAll(form), (match) => match[1] as string));
}

function partOf(path: string): string {
  return path.split("/")[0] ?? "";
}

/** Tests, and what only they use. */
function isTest(path: string): boolean {
  const isSupport = /^agent\/(connectors\/(contract\.ts|fakes\/)|engine\/(case-)?world\.ts|virtual\.ts)/.test(
    path,
  );
  return isSupport || /\.test\.tsx?$/.test(path) || /^(test|tools|bench)\//.test(path);
}
