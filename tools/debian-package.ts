/**
 * A Debian package, made of nothing but bytes: the same input gives the same file, byte for byte, on any machine.
 *
 * The format is deb(5): an `ar` archive of the text `2.0`, a tar of control files, and a tar of what is installed. The tars
 * are ustar (POSIX.1-1988), so no path may be longer than 100 bytes.
 */
import { gzipSync } from "node:zlib";

export interface PackagedFile {
  /** Where it is installed, from `/`, without the slash in front. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

export interface DebianPackage {
  /** The fields of deb-control(5), in this order. */
  readonly control: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Partial<Record<"postinst" | "prerm" | "postrm", string>>>;
  readonly files: readonly PackagedFile[];
  /** Seconds since 1970, of every entry. */
  readonly changedAt: number;
}

const BLOCK_BYTES = 512;
const encoder = new TextEncoder();

export function debianPackage({ control, scripts, files, changedAt }: DebianPackage): Uint8Array {
  const sizeBytes = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const fields = { ...control, "Installed-Size": String(Math.ceil(sizeBytes / 1024)) };
  const controlText = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  const controlFiles = [
    { path: "control", mode: 0o644, bytes: encoder.encode(controlText.join("")) },
    ...Object.entries(scripts).map(([path, text]) => ({ path, mode: 0o755, bytes: encoder.encode(text) })),
  ];
  return ar(changedAt, [
    ["debian-binary", encoder.encode("2.0\n")],
    ["control.tar.gz", gzipSync(tar(controlFiles, changedAt), { level: 9 })],
    ["data.tar.gz", gzipSync(tar(files, changedAt), { level: 6 })],
  ]);
}

/** ar(5): a line of 60 bytes before each member, which begins at an even place. */
function ar(changedAt: number, members: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const parts: Uint8Array[] = [encoder.encode("!<arch>\n")];
  for (const [name, bytes] of members) {
    const head = [
      name.padEnd(16),
      String(changedAt).padEnd(12),
      "0".padEnd(6),
      "0".padEnd(6),
      "100644".padEnd(8),
      String(bytes.length).padEnd(10),
      "`\n",
    ];
    parts.push(encoder.encode(head.join("")), bytes);
    if (bytes.length % 2 === 1) parts.push(encoder.encode("\n"));
  }
  return Buffer.concat(parts);
}

function tar(files: readonly PackagedFile[], changedAt: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const folder of foldersOf(files))
    parts.push(tarHead({ path: folder, mode: 0o755, sizeBytes: 0 }, "5", changedAt));
  for (const { path, mode, bytes } of files) {
    parts.push(tarHead({ path: `./${path}`, mode, sizeBytes: bytes.length }, "0", changedAt), bytes);
    const rest = bytes.length % BLOCK_BYTES;
    if (rest > 0) parts.push(new Uint8Array(BLOCK_BYTES - rest));
  }
  parts.push(new Uint8Array(2 * BLOCK_BYTES));
  return Buffer.concat(parts);
}

/** Every folder on the way to a file, outer ones first. */
function foldersOf(files: readonly PackagedFile[]): readonly string[] {
  const folders = new Set(["./"]);
  for (const { path } of files) {
    const names = path.split("/").slice(0, -1);
    names.forEach((_, index) => folders.add(`./${names.slice(0, index + 1).join("/")}/`));
  }
  return [...folders];
}

interface TarEntry {
  readonly path: string;
  readonly mode: number;
  readonly sizeBytes: number;
}

function tarHead({ path, mode, sizeBytes }: TarEntry, type: "0" | "5", changedAt: number): Uint8Array {
  const name = encoder.encode(path);
  if (name.length > 100) throw new Error(`Cannot package ${path}: its path is longer than 100 bytes`);
  const head = new Uint8Array(BLOCK_BYTES);
  const put = (at: number, text: string) => head.set(encoder.encode(text), at);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  head.set(name, 0);
  put(100, octal(mode, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(sizeBytes, 11));
  put(136, octal(changedAt, 11));
  // The sum is taken with spaces in its own place.
  put(148, "        ");
  put(156, type);
  put(257, "ustar\0" + "00");
  put(265, "root");
  put(297, "root");
  const sum = head.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return head;
}
