/**
 * A Chromium for the browser tests: the machine's own if it has one, else the one in the npm package `@sparticuz/chromium`,
 * which needs neither apt nor a download.
 *
 * That one is made for Amazon's Linux and comes with the libraries a bare machine lacks (NSS and its kin), packed apart and
 * unpacked by its own code only on Amazon's machines. So we unpack it ourselves, all four archives, into one folder per
 * version, and name the libraries and the fonts in the browser's environment.
 */
import { execFile } from "node:child_process";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { access, constants, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { createBrotliDecompress } from "node:zlib";
import { chromium, type Browser } from "playwright-core";
import { childEnvironment, ROOT } from "../environment.ts";

const execute = promisify(execFile);
const LAUNCH_MS_MAX = 60_000;
const USUAL_PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome-stable",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
];

interface BrowserProgram {
  readonly path: string;
  /** What it needs beyond our own environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

export async function launchBrowser(): Promise<Browser> {
  const program = await findBrowser();
  return chromium.launch({
    executablePath: program.path,
    timeout: LAUNCH_MS_MAX,
    // Whatever this machine speaks: with the locale "C" Chromium names a language that the page's `Intl` does not take.
    env: childEnvironment({ ...program.env, LANG: "en_US.UTF-8", LC_ALL: "en_US.UTF-8" }),
    args: [
      "--lang=en-US",
      // Chromium's sandbox refuses to run as root, which containers do; the pages are our own.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-domain-reliability",
      "--disable-sync",
      "--no-pings",
      ...program.args,
    ],
  });
}

async function findBrowser(): Promise<BrowserProgram> {
  const asked = process.env["CHROMIUM"];
  if (asked !== undefined && asked !== "") {
    await access(asked, constants.X_OK).catch((cause: unknown) => {
      throw new Error(
        `Cannot use the browser that CHROMIUM names: "${asked}" is not there or may not be run`,
        { cause },
      );
    });
    return { path: asked, env: {}, args: [] };
  }
  const usual = USUAL_PLACES.find((path) => existsSync(path));
  return usual === undefined ? unpackBrowser() : { path: usual, env: {}, args: [] };
}

async function unpackBrowser(): Promise<BrowserProgram> {
  const source = join(ROOT, "node_modules/@sparticuz/chromium");
  const { version } = JSON.parse(await readFile(join(source, "package.json"), "utf8")) as { version: string };
  const cache = join(ROOT, "node_modules/.cache");
  const folder = join(cache, `chromium-${version}-${process.arch}`);
  if (!existsSync(folder)) {
    // Unpacked beside and then renamed: of two that do it at once, one rename wins and both find a whole folder.
    await mkdir(cache, { recursive: true });
    const work = await mkdtemp(join(cache, "unpack-"));
    try {
      await Promise.all([
        pipeline(
          createReadStream(join(source, "bin/chromium.br")),
          createBrotliDecompress(),
          createWriteStream(join(work, "chromium"), { mode: 0o755 }),
        ),
        ...["al2023", "fonts", "swiftshader"].map((name) =>
          unpackTar(join(source, `bin/${name}.tar.br`), work),
        ),
      ]);
      await writeFile(join(work, "fontconfig.xml"), fontConfiguration(folder));
      await rename(work, folder);
    } catch (error) {
      if (!existsSync(folder))
        throw new Error(`Cannot unpack the browser into "${folder}"`, { cause: error });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  const libraries = [join(folder, "lib"), process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(":");
  return {
    path: join(folder, "chromium"),
    env: { LD_LIBRARY_PATH: libraries, FONTCONFIG_FILE: join(folder, "fontconfig.xml") },
    // Its zygote calls prctl in a way that containers refuse; without one it starts everywhere.
    args: ["--no-zygote", "--font-render-hinting=none"],
  };
}

/**
 * By way of a file: a tar that reads from a pipe leaves at the end mark, before the padding behind it, and breaks the pipe.
 * Every Linux has a tar, so that its format need not be read here; only Brotli is unknown to it.
 */
async function unpackTar(archive: string, folder: string): Promise<void> {
  const plain = join(folder, basename(archive, ".br"));
  await pipeline(createReadStream(archive), createBrotliDecompress(), createWriteStream(plain));
  await execute("tar", ["-xf", plain, "-C", folder]);
  await rm(plain);
}

function fontConfiguration(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${folder}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${folder}/fonts-cache</cachedir>
</fontconfig>
`;
}
