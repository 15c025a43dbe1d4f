/** Source trees of the end-to-end tests, with names and sizes that have broken other tools, made from a seed. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";

export interface SourceTree {
  readonly root: string;
  /** What must arrive: path below the root → SHA-256 in hex. */
  readonly expected: ReadonlyMap<string, string>;
  readonly bytes: number;
  /** Path of the file nobody may read. */
  readonly unreadable: string;
  readonly link: string;
}

const ODD_NAMES = [
  "hash # and 100% sure.txt",
  "%41 is not an A.txt",
  "question?mark&amp=1+2.txt",
  "emoji 🚚📦 moved.txt",
  "  leading and trailing spaces  ",
  "quotes ' and \" and ;.txt",
  "semi;colon:and*star.txt",
  "日本語のファイル.txt",
  "ümlaut (NFC).txt",
  "plus+plus.txt",
  "brackets [1] {2}.txt",
  "back`tick$HOME.txt",
  ".hidden",
];

/** At least 300 files: many small ones, an empty one, a large one, odd names, Unicode twins, long paths, a link. */
export function makeSourceTree(root: string, options: { largeBytes: number }): SourceTree {
  const expected = new Map<string, string>();
  let bytes = 0;
  const random = seededBytes(7);
  const put = (path: string, content: Uint8Array) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    expected.set(path, sha256(content));
    bytes += content.length;
  };

  for (let index = 0; index < 300; index++)
    put(`many/${index % 12}/file-${index}.bin`, random(1 + ((index * 977) % 20_000)));
  for (const name of ODD_NAMES) put(`odd names/${name}`, random(100));
  // One name in two normal forms: two files to Linux and to Blob, and both must arrive.
  put("twins/caf\u00e9.txt", random(64));
  put("twins/cafe\u0301.txt", random(65));
  put("empty.dat", new Uint8Array());
  put(longPath(300), random(200));
  put("medium.bin", random(9 * 1024 * 1024 + 1));
  put("large.bin", random(options.largeBytes));

  const link = "link-to-medium";
  symlinkSync("medium.bin", join(root, link));
  const unreadable = "private/unreadable.txt";
  mkdirSync(join(root, "private"), { recursive: true });
  writeFileSync(join(root, unreadable), "nobody may read this");
  chmodSync(join(root, unreadable), 0o000);
  return { root, expected, bytes, unreadable, link };
}

/** Files of given sizes below `root`; the path tells the size. */
export function makePlainTree(
  root: string,
  sizes: readonly number[],
): Pick<SourceTree, "root" | "expected" | "bytes"> {
  const expected = new Map<string, string>();
  const random = seededBytes(11);
  sizes.forEach((size, index) => {
    const path = `folder-${index % 5}/file-${index}-${size}.bin`;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    const content = random(size);
    writeFileSync(join(root, path), content);
    expected.set(path, sha256(content));
  });
  return { root, expected, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Empty files, small ones, some of several blocks of 1 MiB, and the odd names: other content for each seed. */
export function makeMixedTree(
  root: string,
  options: { readonly seed: number; readonly smallFiles: number; readonly largeFiles: number },
): Pick<SourceTree, "root" | "expected" | "bytes"> {
  const expected = new Map<string, string>();
  // The generator wants a state that is not nought.
  const random = seededBytes(options.seed * 2_654_435_761 || 1);
  let bytes = 0;
  const put = (path: string, sizeBytes: number) => {
    const content = random(sizeBytes);
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    expected.set(path, sha256(content));
    bytes += sizeBytes;
  };
  const sizeOf = (max: number) => new DataView(random(4).buffer).getUint32(0) % max;
  for (const name of ODD_NAMES) put(`odd names/${name}`, sizeOf(300));
  for (let index = 0; index < 4; index++) put(`empty/${index}`, 0);
  for (let index = 0; index < options.smallFiles; index++) put(`small/${index % 5}/${index}`, sizeOf(60_000));
  for (let index = 0; index < options.largeFiles; index++)
    put(`large 🚚 #${index % 2}/100% ${index}.bin`, 1_500_000 + sizeOf(6_000_000));
  return { root, expected, bytes };
}

/** Digests of all regular files below a folder as they are now; what a test changed by accident shows. */
export function digestFolder(root: string): Map<string, string> {
  const digests = new Map<string, string>();
  for (const item of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const file = join(item.parentPath, item.name);
    if (lstatSync(file).isFile()) digests.set(relative(root, file), sha256(readFileSync(file)));
  }
  return digests;
}

export function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** A path of exactly this length, in segments of 50. */
function longPath(length: number): string {
  let path = "long";
  while (path.length < length - 51) path += `/${"d".repeat(50)}`;
  return `${path}/${"f".repeat(length - path.length - 5)}.txt`;
}

/** Bytes that look random and are the same each time (xorshift32, a word at a time). */
function seededBytes(seed: number): (count: number) => Uint8Array {
  let state = seed;
  return (count) => {
    const words = new Uint32Array(Math.ceil(count / 4));
    for (let index = 0; index < words.length; index++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[index] = state;
    }
    return new Uint8Array(words.buffer, 0, count);
  };
}
