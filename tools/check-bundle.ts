/**
 * `npm run check` asks here how much a phone has to fetch before it shows anything: the script and style that `index.html`
 * loads, and whatever those import without waiting to be opened. Ends with 1, naming the files, when that is too much.
 */
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { ROOT } from "./environment.ts";

export const FIRST_VIEW_KIB_MAX = 45;
const KIB = 1024;

/** A file of the built dashboard, as far as it matters here. */
export interface BuiltFile {
  readonly name: string;
  readonly text: string;
  /** Of a script: the files it cannot run without. */
  readonly imports: readonly string[];
}
export interface FirstView {
  /** The heaviest first. */
  readonly files: readonly { readonly name: string; readonly gzipBytes: number }[];
  readonly gzipBytes: number;
}

/** What is fetched for the first view: the scripts and styles that the page names, and what those import. */
export function weighFirstView(page: string, built: readonly BuiltFile[]): FirstView {
  const byName = new Map(built.map((file) => [file.name, file]));
  const wanted = [...page.matchAll(/(?:src|href)="\/([^"]+\.(?:js|css))"/g)].map(([, name]) => name ?? "");
  const files = new Map<string, number>();
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (files.has(name)) continue;
    const file = byName.get(name);
    if (file === undefined)
      throw new Error(`Cannot weigh the first view: "${name}" is asked for, and was not built`);
    files.set(name, gzipSync(file.text).length);
    wanted.push(...file.imports);
  }
  const sorted = Array.from(files, ([name, gzipBytes]) => ({ name, gzipBytes })).toSorted(
    (left, right) => right.gzipBytes - left.gzipBytes,
  );
  return { files: sorted, gzipBytes: sorted.reduce((sum, { gzipBytes }) => sum + gzipBytes, 0) };
}

export function describeFirstView({ files, gzipBytes }: FirstView): string {
  const kib = (bytes: number) => `${(bytes / KIB).toFixed(1)} KiB`;
  const list = files.map((file) => `  ${kib(file.gzipBytes).padStart(9)}  ${file.name}`).join("\n");
  const overBytes = gzipBytes - FIRST_VIEW_KIB_MAX * KIB;
  const verdict =
    overBytes > 0
      ? `${kib(overBytes)} more than the ${FIRST_VIEW_KIB_MAX} KiB there may be. ` +
        "Move what the first view does without into a page that is loaded when it is opened (`later` in ui/app.tsx)"
      : `of at most ${FIRST_VIEW_KIB_MAX}`;
  return `First view, compressed: ${kib(gzipBytes)}, ${verdict}:\n${list}`;
}

/** Builds the dashboard without writing it anywhere. */
async function buildDashboard(): Promise<{ page: string; built: BuiltFile[] }> {
  const result = (await build({
    configFile: `${ROOT}/vite.config.ts`,
    root: `${ROOT}/ui`,
    logLevel: "warn",
    build: { write: false },
  })) as Rolldown.RolldownOutput;
  const built = result.output.map((file): BuiltFile => {
    if (file.type === "chunk") return { name: file.fileName, text: file.code, imports: file.imports };
    return { name: file.fileName, text: String(file.source), imports: [] };
  });
  return { page: built.find(({ name }) => name === "index.html")?.text ?? "", built };
}

if (import.meta.main) {
  const { page, built } = await buildDashboard();
  const view = weighFirstView(page, built);
  console.log(describeFirstView(view));
  if (view.files.length === 0) throw new Error("Cannot weigh the first view: the page asks for no script");
  if (view.gzipBytes > FIRST_VIEW_KIB_MAX * KIB) process.exitCode = 1;
}
