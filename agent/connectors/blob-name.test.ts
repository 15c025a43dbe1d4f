/** Names that some source can have: listed by hand, made at random, and put into a real container. */
import assert from "node:assert/strict";
import {
  blobName,
  NAME_LENGTH_MAX,
  readSourceTag,
  SEGMENTS_MAX,
  sourcePath,
  sourceTag,
} from "./blob-name.ts";
import { Azurite } from "./fakes/azurite.ts";
import { encodeXml, parseXml } from "./xml.ts";

const PREFIX = "acme-corp/files/";
const CASES = 20_000;

/** What the mapping makes of a path, without the prefix. */
function made(path: string, prefix = PREFIX): string {
  const named = blobName(prefix, path);
  assert.equal(named.kind, "named", `${JSON.stringify(path)} is refused`);
  return named.kind === "named" ? named.name.slice(prefix.length) : "";
}

// --- names by hand ---------------------------------------------------------------------------------------------------

const HEX_32 = "0123456789ABCDEF0123456789ABCDEF";

const SIGNS = [..."!\"#$%&'()*+,-:;<=>?@[]^_`{|}~"];

/** Odd, and yet the service holds them: they stay as they are. */
const UNTOUCHED: readonly string[] = [
  SIGNS.map((sign) => `sign ${sign} in a name`),
  SIGNS,
  split(
    "CON  PRN  AUX  NUL  CLOCK$  COM1  LPT9  con.txt  desktop.ini  Thumbs.db  _vti_cnf  constructor  __proto__  null",
  ),
  split(
    "~$report.docx  ~~  file~  .#lock  main.c.~1~  PROGRA~1  REPORT~10.DOC  ~u  ~u00  ~u005c  ~U005C  u005C  ~h",
  ),
  [`~h${HEX_32.toLowerCase()}`, `~h${HEX_32}0`, `~h${HEX_32.slice(1)}`, `~h${HEX_32}x`, `~h${HEX_32}.d-x`],
  split(
    "%5C  %2e%2e  %2F  %00  %25  100%  %  a%2  %u005C  &amp;  &#92;  <![CDATA[x]]>  ]]>  {U+005C}  \uFF3C  \u2215  \u2024",
  ),
  split(
    "a?b=c&d  a#b  ?comp=list  a;b  a+b  $root  $web  =cmd|'C'!A0  @SUM(1)  '; DROP TABLE x;--  <script>  -rf  --  0",
  ),
  split(".hidden  ..a  ...a  a..b  .git/config  .a/.b  a.b.c  a/b/c/d  A  a"),
  ["a b", ". a", " a", "a ", " ", "  ", "a /b", ". ", "a. ", "\u00A0", "a\u3000", "\u2028", "\u2029"],
  split(
    "\u200B  \u00AD  \uFEFFa  \u202Eexe.txt  \u2066a\u2069  \u200Da  e\u0301  \u00E9  \u0301  \u0130  \u0131  ß  \u1E9E",
  ),
  split(
    "日本語.txt  हिन्दी  עברית  العربية  ไทย  한글  \u1100\u1161  Ω  \u2126  Å  \u212B  \uFB01le  \u00A0x  \uD7FF  \uF900",
  ),
  split("😀  👩‍👩‍👧  🇩🇪  𝒳  𠮷  \u{2FFFD}  \u{1FFFD}  \u{E1000}  \u{EFFFD}  \u{10000}  \uFFEF  \uFDCF  \uFDF0"),
  ["a".repeat(255), "a".repeat(NAME_LENGTH_MAX - PREFIX.length), `${"a/".repeat(SEGMENTS_MAX - 3)}b`],
].flat();

/** By two spaces. */
function split(words: string): string[] {
  return words.split("  ");
}

/** What becomes of the others. */
const CHANGED: readonly (readonly [path: string, name: string])[] = [
  ["a\\b", "a~u005Cb"],
  ["\\", "~u005C"],
  ["\\\\server\\share", "~u005C~u005Cserver~u005Cshare"],
  ["C:\\", "C:~u005C"],
  ["..\\..\\x", "..~u005C..~u005Cx"],
  [".", "~u002E"],
  ["..", ".~u002E"],
  ["...", "..~u002E"],
  ["a.", "a~u002E"],
  ["a..", "a.~u002E"],
  ["a./b", "a~u002E/b"],
  ["a/./b", "a/~u002E/b"],
  ["../../etc/passwd", ".~u002E/.~u002E/etc/passwd"],
  ["a/..", "a/.~u002E"],
  ["a .", "a ~u002E"],
  ["Dr./Mr./x.", "Dr~u002E/Mr~u002E/x~u002E"],
  ["a\nb", "a~u000Ab"],
  ["Icon\r", "Icon~u000D"],
  ["\t", "~u0009"],
  ["\u0000", "~u0000"],
  ["\u001B[31mred", "~u001B[31mred"],
  ["\u007F", "~u007F"],
  ["\uF022a\uF028", "~uF022a~uF028"],
  ["\uFFFD", "~uFFFD"],
  ["\uFFFE", "~uFFFE"],
  ["\uFFFF", "~uFFFF"],
  ["\uFDD0", "~uFDD0"],
  ["\uFDEF", "~uFDEF"],
  ["\uFFF0", "~uFFF0"],
  ["\uE000", "~uE000"],
  ["\uF8FF", "~uF8FF"],
  ["\u{1FFFE}", "~uD83F~uDFFE"],
  ["\u{1FFFF}", "~uD83F~uDFFF"],
  ["\u{F0000}", "~uDB80~uDC00"],
  ["\u{10FFFF}", "~uDBFF~uDFFF"],
  ["\u{E0067}", "~uDB40~uDC67"],
  ["\u{E0FFF}", "~uDB43~uDFFF"],
  ["\uD800", "~uD800"],
  ["\uDFFF", "~uDFFF"],
  ["a\uD83D", "a~uD83D"],
  ["\uDE00\uD83D", "~uDE00~uD83D"],
  ["\uD83D/\uDE00", "~uD83D/~uDE00"],
  ["\uD83D" + "😀", "~uD83D😀"],
  ["~u005C", "~u007Eu005C"],
  ["~u005Cx", "~u007Eu005Cx"],
  ["~u007Eu005C", "~u007Eu007Eu005C"],
  ["~~u0041", "~~u007Eu0041"],
  ["~u005\\", "~u005~u005C"],
  ["~\\", "~~u005C"],
  ["~uABCD~uABCD", "~u007EuABCD~u007EuABCD"],
  [`~h${HEX_32}`, `~u007Eh${HEX_32}`],
  [`a~h${HEX_32}.docx`, `a~u007Eh${HEX_32}.docx`],
  [`~h${HEX_32}/b`, `~h${HEX_32}/b`],
  ...[...range(0x00, 0x1f), ...range(0x7f, 0x9f), 0xe001, 0xf000, 0xf001, 0xfff9, 0xfffc].map(
    (unit) =>
      [`x${String.fromCharCode(unit)}y`, `x~u${unit.toString(16).toUpperCase().padStart(4, "0")}y`] as const,
  ),
];

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** Longer or deeper than a name can be. */
const OUT_OF_BOUNDS: readonly string[] = [
  "a".repeat(NAME_LENGTH_MAX - PREFIX.length + 1),
  `${"a".repeat(3_000)}.docx`,
  `${"a".repeat(3_000)}.docy`,
  `${"folder/".repeat(200)}file.tar.gz`,
  "a/".repeat(SEGMENTS_MAX - 2) + "b",
  "a/".repeat(400) + "b",
  "語".repeat(1_100),
  `x${"😀".repeat(900)}`,
  "😀".repeat(900),
  "\\".repeat(200),
  ".".repeat(2_000),
  `${"a".repeat(990)}\uD800${"b".repeat(50)}`,
  `${"a".repeat(990)}\uD801${"b".repeat(50)}`,
  `${"a".repeat(1_200)}.`,
  `${"a".repeat(1_200)}~h${HEX_32}`,
  `${"a".repeat(1_200)}.${"e".repeat(17)}`,
  ...range(960, 980).map((length) => `${"a".repeat(length)}\\\u{1FFFE}~u0041${"z".repeat(60)}`),
];

Deno.test("[Z30] a list of nasty names becomes what is written beside each, and comes back", () => {
  const corpus = [...UNTOUCHED.map((path) => [path, path] as const), ...CHANGED];
  assert.ok(corpus.length >= 200, `${corpus.length}`);
  for (const [path, name] of corpus) {
    assert.deepEqual(blobName(PREFIX, path), { kind: "named", name: PREFIX + name, mapped: name !== path });
    assert.equal(sourcePath(PREFIX, PREFIX + name), path);
    assert.equal(readSourceTag(sourceTag(path)), path);
  }
  const paths = new Set([...corpus.map(([path]) => path), ...OUT_OF_BOUNDS]);
  assert.equal(new Set([...paths].map((path) => made(path))).size, paths.size);
});

Deno.test("[Z33] what is too long or too deep is cut, keeps its beginning and its ending, and its metadata tells the path", () => {
  for (const path of OUT_OF_BOUNDS) {
    const named = blobName(PREFIX, path);
    assert.ok(named.kind === "named" && named.mapped);
    const { name } = named;
    assertHoldable(name);
    assert.match(name, /~h[0-9A-F]{32}(\.[a-z]{1,16})?$/);
    const head = `${PREFIX}${path.replaceAll("\\", "~u005C")}`.slice(0, 30);
    assert.ok(name.startsWith(head), head);
    assert.equal(sourcePath(PREFIX, name), null, "the name alone does not tell");
    assert.equal(sourcePath(PREFIX, name, sourceTag(path)), path);
    assert.equal(sourcePath(PREFIX, name, sourceTag(`${path}x`)), null, "another's metadata");
    assert.equal(sourcePath(PREFIX, name, "no tag"), null);
    assert.doesNotMatch(name, /~(u[0-9A-F]{0,3})?~h[0-9A-F]{32}/, "half an escape");
  }
  assert.match(made(`${"a".repeat(3_000)}.docx`), /^a+~h[0-9A-F]{32}\.docx$/);
  assert.equal(made(`${"a".repeat(3_000)}.docx`).length + PREFIX.length, NAME_LENGTH_MAX);
  // Half of the SHA-256 of the path in UTF-16, by another program; the same for good.
  assert.equal(made("a/".repeat(400) + "b").slice(-34), EXPECTED_TAIL);
});

/** python3: hashlib.sha256(("a/" * 400 + "b").encode("utf-16-le")).hexdigest()[:32].upper() */
const EXPECTED_TAIL = "~hB03EAC0F05A70B5C8E6F67987B07C8AB";

Deno.test("[Z34] what cannot be told apart, put anywhere, or told again, is refused with the reason", () => {
  for (const path of ["", "/", "/a", "a/", "a//b", "//"])
    assert.match(refusal(PREFIX, path), /^Cannot store ".*": a folder or file in it has no name$/);
  assert.match(refusal(PREFIX, "a".repeat(5_000)), /too long even to be kept beside it$/);
  assert.match(refusal(`${"p".repeat(1_000)}/`, "a".repeat(30)), /leaves no room for a name$/);
  assert.match(refusal("p/".repeat(SEGMENTS_MAX), "a"), /leaves no room for a name$/);
  assert.match(refusal("x./", "a"), /cannot hold the folder it would go into$/);
  assert.equal(refusal("", "a\uD800/").isWellFormed(), true);
});

function refusal(prefix: string, path: string): string {
  const named = blobName(prefix, path);
  return named.kind === "refused" ? named.reason : `"${path}" is named "${named.name}"`;
}

Deno.test("[Z32] a name that the mapping does not make belongs to no path", () => {
  for (const foreign of [
    "a.",
    "a\\b",
    "~u0041",
    "a~u005c\uE000",
    "~uD83D~uDE00",
    "x//y",
    "",
    "~u007Ex",
    `~h${HEX_32}`,
  ])
    assert.equal(sourcePath(PREFIX, PREFIX + foreign), null, JSON.stringify(foreign));
  assert.equal(sourcePath(PREFIX, "acme-corp/file"), null);
  assert.equal(sourcePath(PREFIX, "other/a"), null);
  // A prefix may look like an escape; only what is behind it is read.
  assert.equal(made("a~u0041", "x~u0041/"), "a~u007Eu0041");
  assert.equal(sourcePath("x~u0041/", "x~u0041/a"), "a");
});

Deno.test("[Z32] metadata that is not a path's gives none", () => {
  for (const tag of ["", "a", "!!!", "YQ==", "YR", "gA", "7aCA", "fnUwMDQx", "a b"])
    assert.equal(readSourceTag(tag), null, tag);
  assert.equal(readSourceTag("YQ"), "a");
});

// --- names at random -------------------------------------------------------------------------------------------------

/** The same numbers for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const PIECES: readonly string[] = [
  split(
    "a  B  0  F  u  h  ~  ~u  ~h  ~u00  ~u005C  ~u007E  u005C  ~uD83D  ~uDE00  ~uFFFE  .docx  .  ..  ...  /  /  /  \\  %5C",
  ),
  split("%  +  &  <  é  e\u0301  語  😀  \u202E  \uE000  \uF003  \uF8FF  \uFDD0  \uFEFF  \uFFFD  \uFFFE"),
  split("\u{1FFFE}  \u{F0000}  \u{10FFFF}  \u0000  \u001F  \u007F  \u0085  \u009D  \u00A0"),
  [`~h${HEX_32}`, HEX_32, HEX_32.slice(1), " ", "\n", "\uD83D", "\uDE00", "\uD800", "\uDFFF"],
  ["a".repeat(200), "語".repeat(100), "\\".repeat(40), "d/".repeat(60)],
].flat();

/** Hostile paths, and for each the names and tags made of it as paths in their turn. */
function* hostilePaths(seed: number): Generator<string> {
  const random = randomOf(seed);
  for (let index = 0; index < CASES; index++) {
    let path = "";
    for (let pieces = 1 + random(random(20) === 0 ? 40 : 8); pieces > 0; pieces--)
      path +=
        random(12) === 0 ? String.fromCharCode(random(0x10000)) : (PIECES[random(PIECES.length)] as string);
    path = path.split("/").filter(Boolean).join("/");
    if (path === "") continue;
    yield path;
    const named = blobName(PREFIX, path);
    if (named.kind === "named" && named.mapped) yield named.name.slice(PREFIX.length);
  }
}

Deno.test("[Z30] no two of thousands of hostile paths have one name, and each name gives its path back", () => {
  for (const seed of [1, 2_026]) {
    const pathOf = new Map<string, string>();
    for (const path of hostilePaths(seed)) {
      const name = made(path);
      assert.equal(pathOf.get(name) ?? path, path, JSON.stringify([name, path]));
      pathOf.set(name, path);
      assert.equal(sourcePath(PREFIX, PREFIX + name, sourceTag(path)), path);
      if (!/~h[0-9A-F]{32}(\.[0-9A-Za-z]{1,16})?$/.test(name))
        assert.equal(sourcePath(PREFIX, PREFIX + name), path);
      assert.equal(readSourceTag(sourceTag(path)), path);
    }
    assert.ok(pathOf.size > CASES);
  }
});

Deno.test("[Z31] a name is mapped exactly when the service could not hold it or it reads as a mapped one", () => {
  let untouched = 0;
  for (const path of hostilePaths(7)) {
    const named = blobName(PREFIX, path);
    assert.ok(named.kind === "named");
    assertHoldable(named.name);
    assert.equal(named.mapped, named.name !== PREFIX + path);
    const mustChange = whyNotHoldable(PREFIX + path) !== null || /~u[0-9A-F]{4}|~h[0-9A-F]{32}/.test(path);
    if (named.mapped) assert.ok(mustChange, JSON.stringify(path));
    else assert.equal(whyNotHoldable(PREFIX + path), null);
    if (!named.mapped) untouched++;
    assert.deepEqual(blobName(PREFIX, path), named);
  }
  assert.ok(untouched > CASES / 10, `${untouched}`);
});

Deno.test("[Z31] names stay below the prefix and come through addresses and XML as they are", () => {
  for (const path of hostilePaths(11)) {
    const name = PREFIX + made(path);
    assert.ok(name.startsWith(PREFIX) && name.length > PREFIX.length);
    const address = name.split("/").map(encodeURIComponent).join("/");
    const url = new URL(`http://127.0.0.1/container/${address}?sig=1`);
    assert.equal(url.pathname, `/container/${address}`, "nothing is resolved or decoded");
    assert.equal(decodeURIComponent(url.pathname), `/container/${name}`);
    assert.equal(parseXml(`<Blob><Name>${encodeXml(name)}</Name></Blob>`).textOf("Name"), name);
    assert.match(sourceTag(path), /^[A-Za-z0-9_-]+$/, "plain in a header");
  }
});

/** The service's rules once more, character by character and in words of their own. */
function whyNotHoldable(name: string): string | null {
  if (name.length > 1_024) return "too long";
  const segments = name.split("/");
  if (segments.length > 254) return "too deep";
  if (segments.some((segment) => segment === "" || segment.endsWith("."))) return "a segment";
  for (const character of name) {
    const point = character.codePointAt(0) as number;
    const isAscii = point >= 0x20 && point < 0x7f && character !== "\\";
    const isBasic = point >= 0xa0 && point <= 0xffef && !(point >= 0xd800 && point <= 0xf8ff);
    const isNoncharacter = (point >= 0xfdd0 && point <= 0xfdef) || (point & 0xfffe) === 0xfffe;
    const isBeyond = point > 0xffff && point < 0xf0000 && !(point >= 0xe0000 && point < 0xe1000);
    if (!(isAscii || isBasic || isBeyond) || isNoncharacter) return `U+${point.toString(16)}`;
  }
  return null;
}

function assertHoldable(name: string): void {
  assert.equal(whyNotHoldable(name), null, JSON.stringify(name));
}

// --- names in a real container -----------------------------------------------------------------------------------------

Deno.test("[Z31] a container lists each name of the list exactly as it was made", async () => {
  await using stack = new AsyncDisposableStack();
  const azurite = stack.adopt(await Azurite.start(), (started) => started.stop());
  await azurite.createContainer("names");
  const { containerUrl, sas } = azurite.grant("names");
  const paths = [...new Set([...UNTOUCHED, ...CHANGED.map(([path]) => path), ...OUT_OF_BOUNDS])];
  const names = paths.map((path) => PREFIX + made(path));
  for (const name of names) {
    const address = name.split("/").map(encodeURIComponent).join("/");
    const headers = { "x-ms-blob-type": "BlockBlob", "x-ms-version": "2023-11-03" };
    const response = await fetch(`${containerUrl}/${address}?${sas}`, { method: "PUT", headers });
    assert.equal(response.status, 201, `${JSON.stringify(name)}: ${await response.text()}`);
  }
  const listing = await fetch(`${containerUrl}?restype=container&comp=list&${sas}`);
  const blobs = parseXml(await listing.text()).child("Blobs")?.children ?? [];
  assert.deepEqual(blobs.map((blob) => blob.textOf("Name")).sort(), names.sort());
});
